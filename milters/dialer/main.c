/*
 * dialer: connects to the filters' sockets, and to next hops that are Unix
 * sockets, and hands the connections on, connected or on their way. It never
 * reads or writes on one.
 *
 * Runs as its own user with the groups of `dial-group'. It keeps the root
 * that the machine has, since filters' sockets come and go with their
 * folders, but has no right to any file there: connect() is all it may do.
 * Trusts: the parent (configuration), the resolver's addresses. Trusted by:
 * smtpd, which says to whatever answers there what its clients say; delivery,
 * which hands mail on there.
 * Edges: smtpd_dialer, delivery_dialer, dialer_resolver, control_all,
 * all_parent.
 * If it dies: sessions that need a new filter find it failed, until it is
 * back, and mail to Unix sockets waits; connections that were handed on go on.
 * Read next: from_smtpd.c, from_delivery.c, reach.c, crowd.c, addresses.c.
 */
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"
#include "lib/proc/tell_stats.h"
#include "milters/dialer/addresses.h"
#include "milters/dialer/crowd.h"
#include "milters/dialer/from_delivery.h"
#include "milters/dialer/from_smtpd.h"
#include "milters/dialer/reach.h"

static void
prepare(struct loop *l)
{
	reach_init();
	addresses_init(l);
	crowd_init(l);
	from_smtpd_init(l);
	from_delivery_init(l);
}

static void
on_config(struct config *c)
{
	addresses_set_config(c);
	from_smtpd_set_config(c);
	from_delivery_set_config(c);
}

/* Of filters, then of next hops. */
static const struct counter *
counters(void)
{
	static struct counter all[16];
	const struct counter *one = from_smtpd_counters();
	size_t n = 0;

	while (one->name != NULL && n + 3 < sizeof(all) / sizeof(all[0]))
		all[n++] = *one++;
	all[n++] =
	    (struct counter){ "dialer.hops_dialed", from_delivery_dialed() };
	all[n++] =
	    (struct counter){ "dialer.hops_refused", from_delivery_refused() };
	all[n] = (struct counter){ NULL, 0 };
	return all;
}

static struct channel *
on_peer(enum role peer, uint16_t instance, int socket)
{
	switch (peer) {
	case ROLE_SMTPD:
		return from_smtpd_add(instance, socket);
	case ROLE_DELIVERY:
		return from_delivery_add(instance, socket);
	case ROLE_RESOLVER:
		return addresses_open(socket);
	case ROLE_CONTROL:
		return tell_stats_serve(
		    child_loop(), socket, "dialer", counters);
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
