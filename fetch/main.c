/*
 * fetch: gets the MTA-STS policies of mail domains over HTTPS.
 *
 * Runs as its own user in an empty directory: connects out to port 443, with
 * libcurl, and keeps policies in the one folder that it is handed.
 * Trusts: the parent (authorities); the resolver (where a host is), as far as
 * certificates do not tell.
 * Trusted by: delivery (which hosts may have a domain's mail).
 * Faces: whatever a web server sends, through libcurl (https.c), and the
 * policy in it (policy_text.c).
 * Edges: delivery_fetch, fetch_resolver, control_all, all_parent.
 * If it dies: mail whose policy is asked for waits for its successor, which
 * finds the policies on disk.
 * Read next: from_delivery.c, policies.c, discovery.c, https.c,
 * policy_text.c, policy_store.c.
 */
#include "fetch/discovery.h"
#include "fetch/from_delivery.h"
#include "fetch/from_resolver.h"
#include "fetch/https.h"
#include "fetch/policies.h"
#include "fetch/policy_store.h"
#include "lib/proc/child.h"
#include "lib/proc/sandbox.h"
#include "lib/proc/tell_stats.h"

static void
prepare(struct loop *l)
{
	https_init(l);
	from_resolver_init(l, RESOLVER_PATIENCE_MS);
	discovery_init(l);
	policies_init(l);
	from_delivery_init(l);
}

static void
on_dir(uint32_t action, int dir)
{
	(void)action;
	policy_store_init(dir);
}

static struct channel *
on_peer(enum role peer, uint16_t instance, int socket)
{
	switch (peer) {
	case ROLE_DELIVERY:
		return from_delivery_add(instance, socket);
	case ROLE_RESOLVER:
		return from_resolver_open(socket);
	case ROLE_CONTROL:
		return tell_stats_serve(
		    child_loop(), socket, "fetch", policies_counters);
	default:
		return NULL;
	}
}

static int
on_go(struct fault *why)
{
	(void)why;
	policies_load();
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct child_ops ops = {
		.role = ROLE_FETCH,
		.promises = PROMISE_HTTPS | PROMISE_FILES | PROMISE_WATCHDOG,
		.prepare = prepare,
		.on_dir = on_dir,
		.on_authorities = https_set_authorities,
		.on_peer = on_peer,
		.on_go = on_go,
	};

	child_main(argc, argv, &ops);
}
