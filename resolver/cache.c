/* A tree to find an answer, a list to know the longest unused. */
#include "resolver/cache.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/tree.h"

struct entry {
	RB_ENTRY(entry) by_name;
	TAILQ_ENTRY(entry) by_use;
	struct dns_answer *answer; /* a reference */
	uint64_t since_ms;
	size_t size;
	enum dns_type type;
	struct str name; /* behind it; in a search the caller's */
};

RB_HEAD(entries, entry);
TAILQ_HEAD(uses, entry);

struct cache {
	struct entries by_name;
	struct uses by_use; /* the freshest first */
	size_t n, bytes, entries_max, bytes_max;
};

static int
cmp_entry(const struct entry *a, const struct entry *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return str_cmp(a->name, b->name);
}

TREE_DEFINE(entries, entry, by_name, cmp_entry)

struct cache *
cache_new(size_t entries_max, size_t bytes_max)
{
	struct cache *c = xcalloc(1, sizeof(*c));

	RB_INIT(&c->by_name);
	TAILQ_INIT(&c->by_use);
	c->entries_max = entries_max;
	c->bytes_max = bytes_max;
	return c;
}

static void
drop(struct cache *c, struct entry *e)
{
	RB_REMOVE(entries, &c->by_name, e);
	TAILQ_REMOVE(&c->by_use, e, by_use);
	c->n--;
	c->bytes -= e->size;
	dns_answer_unref(&e->answer);
	free(e);
}

void
cache_clear(struct cache *c)
{
	struct entry *e;

	while ((e = TAILQ_FIRST(&c->by_use)) != NULL)
		drop(c, e);
}

void
cache_free(struct cache **c)
{
	if (*c == NULL)
		return;
	cache_clear(*c);
	free(*c);
	*c = NULL;
}

static struct entry *
find(struct cache *c, struct str name, enum dns_type type)
{
	struct entry key = { .type = type, .name = name };

	return RB_FIND(entries, &c->by_name, &key);
}

struct dns_answer *
cache_get(struct cache *c, struct str name, enum dns_type type, uint64_t now_ms)
{
	struct entry *e = find(c, name, type);

	if (e == NULL)
		return NULL;
	uint64_t age_s = (now_ms - e->since_ms) / 1000;
	if (age_s >= e->answer->ttl_s) {
		drop(c, e);
		return NULL;
	}
	TAILQ_REMOVE(&c->by_use, e, by_use);
	TAILQ_INSERT_HEAD(&c->by_use, e, by_use);
	if (age_s == 0)
		return dns_answer_ref(e->answer);
	return dns_answer_copy(e->answer, (uint32_t)age_s);
}

void
cache_put(struct cache *c, struct str name, enum dns_type type,
    struct dns_answer *a, uint64_t now_ms)
{
	struct entry *e = find(c, name, type);
	size_t size = sizeof(*e) + name.len + dns_answer_size(a);

	if (e != NULL)
		drop(c, e);
	if (a->ttl_s == 0 || size > c->bytes_max)
		return;
	while (c->n >= c->entries_max || c->bytes > c->bytes_max - size)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it is another */
		drop(c, TAILQ_LAST(&c->by_use, uses));
	e = xcalloc(1, sizeof(*e) + name.len);
	if (name.len > 0)
		memcpy(e + 1, name.p, name.len);
	e->name = (struct str){ (const char *)(e + 1), name.len };
	e->type = type;
	e->answer = dns_answer_ref(a);
	e->since_ms = now_ms;
	e->size = size;
	RB_INSERT(entries, &c->by_name, e);
	TAILQ_INSERT_HEAD(&c->by_use, e, by_use);
	c->n++;
	c->bytes += size;
}

size_t
cache_entries(const struct cache *c)
{
	return c->n;
}

size_t
cache_bytes(const struct cache *c)
{
	return c->bytes;
}
