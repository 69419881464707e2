#include "edges/edges.h"

#include <string.h>

#include "edges/control_all.h"
#include "edges/delivery_dialer.h"
#include "edges/delivery_fetch.h"
#include "edges/delivery_resolver.h"
#include "edges/delivery_vault.h"
#include "edges/dialer_resolver.h"
#include "edges/fetch_resolver.h"
#include "edges/queue_delivery.h"
#include "edges/smtpd_dialer.h"
#include "edges/smtpd_queue.h"
#include "edges/smtpd_resolver.h"
#include "edges/smtpd_vault.h"

static const char *const names[ROLE_COUNT] = {
	[ROLE_PARENT] = "parent",
	[ROLE_SMTPD] = "smtpd",
	[ROLE_DIALER] = "dialer",
	[ROLE_RESOLVER] = "resolver",
	[ROLE_QUEUE] = "queue",
	[ROLE_DELIVERY] = "delivery",
	[ROLE_MAILDIR] = "maildir",
	[ROLE_CONTROL] = "control",
	[ROLE_VAULT] = "vault",
	[ROLE_MDA] = "mda",
	[ROLE_FETCH] = "fetch",
	[ROLE_WEB] = "web",
};

static const struct {
	enum role a, b;
	const struct edge *edge;
} map[] = {
	{ ROLE_SMTPD, ROLE_QUEUE, &smtpd_queue_edge },
	{ ROLE_SMTPD, ROLE_RESOLVER, &smtpd_resolver_edge },
	{ ROLE_SMTPD, ROLE_DIALER, &smtpd_dialer_edge },
	{ ROLE_SMTPD, ROLE_VAULT, &smtpd_vault_edge },
	{ ROLE_DIALER, ROLE_RESOLVER, &dialer_resolver_edge },
	{ ROLE_DELIVERY, ROLE_RESOLVER, &delivery_resolver_edge },
	{ ROLE_QUEUE, ROLE_DELIVERY, &queue_delivery_edge },
	{ ROLE_QUEUE, ROLE_MAILDIR, &queue_delivery_edge },
	{ ROLE_QUEUE, ROLE_MDA, &queue_delivery_edge },
	{ ROLE_DELIVERY, ROLE_DIALER, &delivery_dialer_edge },
	{ ROLE_DELIVERY, ROLE_VAULT, &delivery_vault_edge },
	{ ROLE_DELIVERY, ROLE_FETCH, &delivery_fetch_edge },
	{ ROLE_FETCH, ROLE_RESOLVER, &fetch_resolver_edge },
	{ ROLE_CONTROL, ROLE_PARENT, &control_all_edge },
	{ ROLE_CONTROL, ROLE_SMTPD, &control_all_edge },
	{ ROLE_CONTROL, ROLE_DIALER, &control_all_edge },
	{ ROLE_CONTROL, ROLE_RESOLVER, &control_all_edge },
	{ ROLE_CONTROL, ROLE_QUEUE, &control_all_edge },
	{ ROLE_CONTROL, ROLE_DELIVERY, &control_all_edge },
	{ ROLE_CONTROL, ROLE_MAILDIR, &control_all_edge },
	{ ROLE_CONTROL, ROLE_VAULT, &control_all_edge },
	{ ROLE_CONTROL, ROLE_MDA, &control_all_edge },
	{ ROLE_CONTROL, ROLE_FETCH, &control_all_edge },
	{ ROLE_WEB, ROLE_CONTROL, &control_all_edge },
};

const char *
role_name(enum role r)
{
	return r < ROLE_COUNT ? names[r] : "nobody";
}

int
role_find(const char *name)
{
	for (int r = 0; r < ROLE_COUNT; r++)
		if (strcmp(names[r], name) == 0)
			return r;
	return -1;
}

const struct edge *
edges_between(enum role self, enum role peer, enum edge_end *end)
{
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		if (map[i].a == self && map[i].b == peer) {
			*end = EDGE_A;
			return map[i].edge;
		}
		if (map[i].a == peer && map[i].b == self) {
			*end = EDGE_B;
			return map[i].edge;
		}
	}
	return NULL;
}

uint64_t
edges_hash(void)
{
	uint64_t h = 0;
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		h = h * 0x100000001b3 + edge_hash(map[i].edge);
	return h;
}
