/*
 * smtpd: the SMTP listener. A mail enters here.
 *
 * Runs as its own user, chrooted to an empty directory; accepts on sockets it
 * inherited, makes none, connects nowhere, opens no file.
 * Trusts: the parent (configuration, tables), the queue (its answers), the
 * resolver (which name a client has, not what is in it).
 * Trusted by: the queue, with the envelope of a mail and no more.
 * Edges: smtpd_queue, smtpd_resolver, smtpd_dialer, control_all, all_parent.
 * If it dies: its sessions break, the kernel keeps its backlog for the
 * successor; nothing that was answered 250 is in it.
 * Read next: listener.c, entrance.c, session.c, opening.c, verbs.c, command.c,
 * cmd_mail.c, cmd_data.c, cmd_bdat.c, body.c, filtering.c, filter_stages.c,
 * filter_content.c, commit.c.
 */
#include "lib/net/tls.h"
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"
#include "milters/client/milter.h"
#include "smtpd/admission.h"
#include "smtpd/from_control.h"
#include "smtpd/from_queue.h"
#include "smtpd/from_resolver.h"
#include "smtpd/from_vault.h"
#include "smtpd/limits.h"
#include "smtpd/listener.h"
#include "smtpd/listing.h"
#include "smtpd/scan_queue.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"
#include "smtpd/stress.h"

static void
prepare(struct loop *l)
{
	(void)l;
	tls_prepare();
}

static void
on_config(struct config *c)
{
	/* First: who waits at a listener that goes still has the old one. */
	listener_set_config(c);
	milters_set_config(child_loop(), c, c->smtpd_workers);
	admission_set_config(c);
	secure_set_config(c);
	listings_clear();
}

static void
on_listen(uint32_t id, int socket)
{
	listener_add(child_loop(), id, socket);
}

static void
on_sources(uint32_t column, int map)
{
	limits_set_sources(column, map);
}

static struct channel *
on_peer(enum role peer, uint16_t instance, int socket)
{
	switch (peer) {
	case ROLE_QUEUE:
		return from_queue_start(child_loop(), socket);
	case ROLE_RESOLVER:
		return from_resolver_start(child_loop(), socket);
	case ROLE_CONTROL:
		return from_control_start(child_loop(), socket);
	case ROLE_DIALER:
		return milters_set_dialer(child_loop(), socket);
	case ROLE_VAULT:
		return from_vault_start(child_loop(), instance, socket);
	default:
		return NULL;
	}
}

static int
on_go(struct fault *why)
{
	(void)why;
	stress_start(child_loop());
	listener_start();
	scan_queue_go();
	return 0;
}

static void
on_empty(void)
{
	child_exit();
}

static void
on_stop(uint32_t grace_ms)
{
	(void)grace_ms;
	listener_stop();
	scan_queue_stop();
	sessions_stop(on_empty);
}

/* Our sessions have the next queue from here on; its mail is for others to
 * show to filters. */
static void
on_retire(uint32_t grace_ms)
{
	(void)grace_ms;
	listener_retire();
	scan_queue_stop();
	scan_queue_lost();
	from_queue_hand_over(child_tell_retired);
	sessions_retire(on_empty);
}

static const struct child_ops ops = {
	.role = ROLE_SMTPD,
	.promises = PROMISE_ACCEPT | PROMISE_WATCHDOG,
	.prepare = prepare,
	.on_listen = on_listen,
	.on_sources = on_sources,
	.on_tickets = tls_set_tickets,
	.on_config = on_config,
	.on_peer = on_peer,
	.on_go = on_go,
	.on_stop = on_stop,
	.on_retire = on_retire,
	.on_grace_over = sessions_abandon,
};

int
main(int argc, char **argv)
{
	child_main(argc, argv, &ops);
}
