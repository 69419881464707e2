/*
 * dialer: connects to the filters' sockets and hands the connections on,
 * connected or on their way. It never reads or writes on one.
 *
 * Runs as its own user with the groups of `dial-group'. It keeps the root
 * that the machine has, since filters' sockets come and go with their
 * folders, but has no right to any file there: connect() is all it may do.
 * Trusts: the parent (configuration), the resolver's addresses. Trusted by:
 * smtpd, which says to whatever answers there what its clients say.
 * Edges: smtpd_dialer, dialer_resolver, control_all, all_parent.
 * If it dies: sessions that need a new filter find it failed, until it is
 * back; connections that were handed on go on.
 * Read next: from_smtpd.c, reach.c, crowd.c, addresses.c.
 */
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"
#include "lib/proc/tell_stats.h"
#include "milters/dialer/addresses.h"
#include "milters/dialer/crowd.h"
#include "milters/dialer/from_smtpd.h"
#include "milters/dialer/reach.h"

static void
prepare(struct loop *l)
{
	reach_init();
	addresses_init(l);
	crowd_init(l);
	from_smtpd_init(l);
}

static void
on_config(struct config *c)
{
	addresses_set_config(c);
	from_smtpd_set_config(c);
}

static struct channel *
on_peer(enum role peer, uint16_t instance, int socket)
{
	switch (peer) {
	case ROLE_SMTPD:
		return from_smtpd_add(instance, socket);
	case ROLE_RESOLVER:
		return addresses_open(socket);
	case ROLE_CONTROL:
		return tell_stats_serve(
		    child_loop(), socket, "dialer", from_smtpd_counters);
	default:
		return NULL;
	}
}

int
main(int argc, char **argv)
{
	static const struct child_ops ops = {
		.role = ROLE_DIALER,
		.promises = PROMISE_DIAL | PROMISE_WATCHDOG,
		.prepare = prepare,
		.on_config = on_config,
		.on_peer = on_peer,
	};

	child_main(argc, argv, &ops);
}
