/* A tree by address and kind, and the order of use. */
#include "smtpd/known.h"

#include <string.h>

#include "lib/base/clock.h"

static int
known_cmp(const struct known *a, const struct known *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->addr.family != b->addr.family)
		return a->addr.family < b->addr.family ? -1 : 1;
	if (a->addr.scope != b->addr.scope)
		return a->addr.scope < b->addr.scope ? -1 : 1;
	return memcmp(a->addr.bytes, b->addr.bytes, sizeof(a->addr.bytes));
}

TREE_DEFINE(known_tree, known, node, known_cmp)

static void
free_unused(struct known_cache *c, struct known *k)
{
	if (k->refs == 0 && !k->kept)
		c->free(k);
}

static void
drop(struct known_cache *c, struct known *k)
{
	if (!k->kept)
		return;
	RB_REMOVE(known_tree, &c->tree, k);
	TAILQ_REMOVE(&c->used, k, entry);
	c->n--;
	k->kept = false;
}

static void
forget(struct known_cache *c, struct known *k)
{
	drop(c, k);
	free_unused(c, k);
}

struct known *
known_find(struct known_cache *c, const struct addr *a, uint32_t kind)
{
	struct known like = { .addr = *a, .kind = kind };
	struct known *k = RB_FIND(known_tree, &c->tree, &like);

	if (k == NULL)
		return NULL;
	if (!k->pending && clock_mono_ms() >= k->until_ms) {
		forget(c, k);
		return NULL;
	}
	TAILQ_REMOVE(&c->used, k, entry);
	TAILQ_INSERT_HEAD(&c->used, k, entry);
	return k;
}

void
known_start(
    struct known_cache *c, struct known *k, const struct addr *a, uint32_t kind)
{
	if (c->n == c->max)
		forget(c, TAILQ_LAST(&c->used, known_list));
	k->addr = *a;
	k->kind = kind;
	k->refs = 1;
	k->kept = k->pending = true;
	RB_INSERT(known_tree, &c->tree, k);
	TAILQ_INSERT_HEAD(&c->used, k, entry);
	c->n++;
}

void
known_set(struct known_cache *c, struct known *k, uint32_t ttl_s)
{
	k->pending = false;
	k->until_ms = clock_mono_ms() + (uint64_t)ttl_s * 1000;
	if (ttl_s == 0)
		drop(c, k);
}

void
known_unref(struct known_cache *c, struct known *k)
{
	k->refs--;
	free_unused(c, k);
}

void
known_clear(struct known_cache *c)
{
	struct known *k, *next;

	TAILQ_FOREACH_SAFE(k, &c->used, entry, next)
		forget(c, k);
}
