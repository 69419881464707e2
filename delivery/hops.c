#include "delivery/hops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

enum { HOPS_KEPT = 1024 }; /* from so many on the expired are swept */

const char *
place_format(const struct place *p, char out[static PLACE_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];

	if (p->host == NULL || p->at.addr.family == ADDR_LOCAL)
		return hop_format(&p->at, out);
	(void)snprintf(out, PLACE_TEXT_MAX, "%s[%s]:%u", p->host,
	    addr_format(&p->at.addr, text), p->at.port);
	return out;
}

static int
hop_cmp(const struct hop *a, const struct hop *b)
{
	int d = memcmp(a->at.addr.bytes, b->at.addr.bytes, 16);

	if (a->at.addr.family != b->at.addr.family)
		return a->at.addr.family < b->at.addr.family ? -1 : 1;
	if (d != 0)
		return d;
	if (a->at.addr.scope != b->at.addr.scope)
		return a->at.addr.scope < b->at.addr.scope ? -1 : 1;
	if (a->at.port != b->at.port)
		return a->at.port - b->at.port;
	return strcmp(a->at.path, b->at.path);
}

RB_HEAD(hop_tree, hop);

static struct hop_tree hops = RB_INITIALIZER(&hops);
static size_t nhops;

TREE_DEFINE(hop_tree, hop, entry, hop_cmp)

static void
hop_drop(struct hop *h)
{
	RB_REMOVE(hop_tree, &hops, h);
	nhops--;
	free(h);
}

/* There is nothing to remember. */
static bool
is_forgotten(const struct hop *h, uint64_t now_ms)
{
	return h->dead_until_ms <= now_ms && h->plain_until_ms <= now_ms;
}

static void
hops_sweep(uint64_t now_ms)
{
	struct hop *h, *next;

	RB_FOREACH_SAFE(h, hop_tree, &hops, next)
		if (h->nconns == 0 && is_forgotten(h, now_ms))
			hop_drop(h);
}

struct hop *
hop_take(const struct hop_addr *at, uint64_t now_ms)
{
	struct hop *h = hop_find(at);

	if (h == NULL) {
		if (nhops >= HOPS_KEPT)
			hops_sweep(now_ms);
		h = xcalloc(1, sizeof(*h));
		h->at = *at;
		TAILQ_INIT(&h->idle);
		RB_INSERT(hop_tree, &hops, h);
		nhops++;
	}
	h->nconns++;
	return h;
}

void
hop_release(struct hop *h, uint64_t now_ms)
{
	if (--h->nconns == 0 && is_forgotten(h, now_ms))
		hop_drop(h);
}

void
hop_set_dead(struct hop *h, uint64_t now_ms)
{
	h->dead_until_ms = now_ms + HOP_DEAD_MS;
}

void
hop_mark_dead(const struct hop_addr *at, uint64_t now_ms)
{
	struct hop *h = hop_take(at, now_ms);

	hop_set_dead(h, now_ms);
	hop_release(h, now_ms);
}

void
hop_set_alive(struct hop *h)
{
	h->dead_until_ms = 0;
}

void
hop_set_plain(struct hop *h, uint64_t now_ms)
{
	h->plain_until_ms = now_ms + HOP_PLAIN_MS;
}

bool
hop_is_plain(const struct hop *h, uint64_t now_ms)
{
	return h->plain_until_ms > now_ms;
}

struct hop *
hop_find(const struct hop_addr *at)
{
	struct hop key = { .at = *at };

	return RB_FIND(hop_tree, &hops, &key);
}

bool
hop_is_dead(const struct hop_addr *at, uint64_t now_ms)
{
	const struct hop *h = hop_find(at);

	return h != NULL && h->dead_until_ms > now_ms;
}
