/*
 * resolver: asks the DNS for everybody.
 *
 * Runs as its own user in an empty directory; UDP and TCP to the name
 * servers of the configuration, opens no file, listens nowhere.
 * Trusts: the parent (configuration); the name servers, as far as anybody can
 * believe them. Trusted by: smtpd (who calls), delivery (where to go, and
 * what DNSSEC says of it), dialer (where filters are), fetch (where policies
 * are).
 * Faces: whatever comes back from the network, through c-ares (cares.c).
 * Edges: smtpd_resolver, delivery_resolver, dialer_resolver, fetch_resolver,
 * control_all, all_parent.
 * If it dies: who asked gets a fault: the client has no name, the mail waits.
 * Its cache is gone with it.
 * Read next: from_smtpd.c, caller.c; from_delivery.c, way.c, hosts.c,
 * dane.c; validation.c; query.c, cares.c.
 */
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"
#include "resolver/dnsbl.h"
#include "resolver/from_control.h"
#include "resolver/from_delivery.h"
#include "resolver/from_dialer.h"
#include "resolver/from_fetch.h"
#include "resolver/from_smtpd.h"
#include "resolver/peer.h"
#include "resolver/query.h"
#include "resolver/validation.h"
#include "resolver/way.h"

static void
prepare(struct loop *l)
{
	query_init(l);
	validation_init(l);
	way_init(l);
	dnsbl_init(l);
	peer_init(l);
}

static void
on_config(struct config *c)
{
	query_set_servers(c->servers, c->nservers);
	validation_set_config(c);
	way_set_config(c);
}

static struct channel *
on_peer(enum role peer, uint16_t instance, int socket)
{
	switch (peer) {
	case ROLE_SMTPD:
		return from_smtpd_add(instance, socket);
	case ROLE_DELIVERY:
		return from_delivery_add(instance, socket);
	case ROLE_DIALER:
		return from_dialer_add(instance, socket);
	case ROLE_FETCH:
		return from_fetch_add(instance, socket);
	case ROLE_CONTROL:
		return from_control_add(instance, socket);
	default:
		return NULL;
	}
}

int
main(int argc, char **argv)
{
	static const struct child_ops ops = {
		.role = ROLE_RESOLVER,
		.promises = PROMISE_RESOLVE | PROMISE_WATCHDOG,
		.prepare = prepare,
		.on_config = on_config,
		.on_peer = on_peer,
	};

	child_main(argc, argv, &ops);
}
