/*
 * delivery: hands mail on to its next hops.
 *
 * Runs as its own user in an empty directory; connects out, opens no file,
 * listens nowhere.
 * Trusts: the queue; the resolver (where a name leads, what DNSSEC says of
 * it); the fetcher (MTA-STS policies); the vaults; the dialer (whom a Unix
 * socket leads to).
 * Trusted by: the queue (a result means what it says).
 * Faces: whatever a next hop sends.
 * Edges: queue_delivery, delivery_resolver, delivery_fetch, delivery_dialer,
 * delivery_vault, control_all, all_parent.
 * If it dies: the queue gives what it had to another, or to the next one.
 * Mail whose dot was answered but whose result was not yet told is sent
 * twice.
 * Read next: from_queue.c, agent.c, way_walk.c, routes.c, policy.c, race.c,
 * smtp_states.c, smtp_client.c.
 */
#include <malloc.h>

#include "delivery/agent.h"
#include "delivery/from_dialer.h"
#include "delivery/from_fetch.h"
#include "delivery/from_queue.h"
#include "delivery/from_resolver.h"
#include "delivery/from_vault.h"
#include "delivery/secure.h"
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"
#include "lib/proc/tell_stats.h"

enum { KEPT_MEMORY = 8 << 20 };

/* Mails come and go: memory that would be given back and fetched again with
 * each of them stays here. */
static void
prepare(struct loop *l)
{
	(void)mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY);
	(void)mallopt(M_MMAP_THRESHOLD, KEPT_MEMORY / 8);
	secure_init();
	from_vault_init(l);
	from_resolver_init(l, QUESTION_PATIENCE_MS);
	agent_init(l);
}

static struct channel *
on_peer(enum role peer, uint16_t instance, int socket)
{
	if (peer == ROLE_QUEUE)
		return from_queue_open(child_loop(), socket);
	if (peer == ROLE_RESOLVER)
		return from_resolver_open(socket);
	if (peer == ROLE_DIALER)
		return from_dialer_open(socket);
	if (peer == ROLE_FETCH)
		return from_fetch_open(child_loop(), socket);
	if (peer == ROLE_VAULT)
		return from_vault_open(instance, socket);
	if (peer == ROLE_CONTROL)
		return tell_stats_serve(
		    child_loop(), socket, "delivery", agent_counters);
	return NULL;
}

static int
on_go(struct fault *why)
{
	(void)why;
	from_queue_go();
	return 0;
}

static void
leave(void)
{
	from_queue_leave();
	child_exit();
}

static void
on_stop(uint32_t grace_ms)
{
	(void)grace_ms;
	from_queue_stop();
	agent_stop(leave);
}

int
main(int argc, char **argv)
{
	static const struct child_ops ops = {
		.role = ROLE_DELIVERY,
		.promises = PROMISE_CONNECT | PROMISE_WATCHDOG,
		.prepare = prepare,
		.on_authorities = secure_set_authorities,
		.on_config = agent_set_config,
		.on_peer = on_peer,
		.on_go = on_go,
		.on_stop = on_stop,
	};

	child_main(argc, argv, &ops);
}
