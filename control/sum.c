/* Equal names (of a process) are one number: a tree of names. */
#include "control/sum.h"

#include "lib/base/tree.h"
#include <stdlib.h>

#include "lib/base/alloc.h"

struct entry {
	RB_ENTRY(entry) link;
	struct str name, process; /* of both .p is owned */
	uint64_t value;
};

static int
entry_cmp(const struct entry *a, const struct entry *b)
{
	int by_name = str_cmp(a->name, b->name);

	return by_name != 0 ? by_name : str_cmp(a->process, b->process);
}

RB_HEAD(entries, entry);
TREE_DEFINE(entries, entry, link, entry_cmp)

struct sum {
	struct entries entries;
	size_t n;
};

struct sum *
sum_new(void)
{
	struct sum *s = xcalloc(1, sizeof(*s));

	RB_INIT(&s->entries);
	return s;
}

void
sum_free(struct sum **sp)
{
	struct sum *s = *sp;
	struct entry *e, *next;

	if (s == NULL)
		return;
	*sp = NULL;
	RB_FOREACH_SAFE(e, entries, &s->entries, next) {
		RB_REMOVE(entries, &s->entries, e);
		free((void *)(uintptr_t)e->name.p);
		free((void *)(uintptr_t)e->process.p);
		free(e);
	}
	free(s);
}

void
sum_add(struct sum *s, struct str name, struct str process, uint64_t value)
{
	struct entry key = { .name = name, .process = process };
	struct entry *e = RB_FIND(entries, &s->entries, &key);

	if (e != NULL) {
		e->value += value;
		return;
	}
	if (s->n == SUM_NAMES_MAX)
		return;
	e = xcalloc(1, sizeof(*e));
	e->name = (struct str){ str_dup(name), name.len };
	e->process = (struct str){ str_dup(process), process.len };
	e->value = value;
	RB_INSERT(entries, &s->entries, e);
	s->n++;
}

void
sum_each(const struct sum *s,
    void (*fn)(void *ctx, struct str name, struct str process, uint64_t value),
    void *ctx)
{
	const struct entry *e =
	    RB_MIN(entries, (struct entries *)(uintptr_t)&s->entries);

	for (; e != NULL;
	     e = RB_NEXT(entries, &s->entries, (struct entry *)(uintptr_t)e))
		fn(ctx, e->name, e->process, e->value);
}
