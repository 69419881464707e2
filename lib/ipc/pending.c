#include "lib/ipc/pending.h"

#include <stdlib.h>

#include "lib/base/alloc.h"

struct pending_entry {
	uint64_t id;
	answer_fn *fn; /* NULL: cancelled */
	void *ctx;
	struct pending_entry *next;
};

void
pending_init(struct pending *p)
{
	*p = (struct pending){ NULL, 0, 0 };
}

void
pending_clear(struct pending *p)
{
	answer_fn *fn;
	void *ctx;

	while (pending_take_any(p, &fn, &ctx) == 0)
		;
	free(p->slots);
	pending_init(p);
}

/* Ids are our own and count up: they spread by themselves. */
static struct pending_entry **
chain(const struct pending *p, uint64_t id)
{
	return &p->slots[id & (p->nslots - 1)];
}

static void
grow(struct pending *p)
{
	struct pending old = *p;

	p->nslots = old.nslots == 0 ? 16 : old.nslots * 2;
	p->slots = xcalloc(p->nslots, sizeof(struct pending_entry *));
	for (size_t i = 0; i < old.nslots; i++) {
		while (old.slots[i] != NULL) {
			struct pending_entry *e = old.slots[i];
			old.slots[i] = e->next;
			struct pending_entry **to = chain(p, e->id);
			e->next = *to;
			*to = e;
		}
	}
	free(old.slots);
}

void
pending_add(struct pending *p, uint64_t id, answer_fn *fn, void *ctx)
{
	if (p->count >= p->nslots)
		grow(p);
	struct pending_entry *e = xmalloc(sizeof(*e));
	struct pending_entry **to = chain(p, id);
	*e = (struct pending_entry){ id, fn, ctx, *to };
	*to = e;
	p->count++;
}

static struct pending_entry **
find(const struct pending *p, uint64_t id)
{
	if (p->nslots == 0)
		return NULL;
	struct pending_entry **e = chain(p, id);
	while (*e != NULL && (*e)->id != id)
		e = &(*e)->next;
	return *e == NULL ? NULL : e;
}

void
pending_cancel(struct pending *p, uint64_t id)
{
	struct pending_entry **e = find(p, id);

	if (e != NULL)
		(*e)->fn = NULL;
}

static void
take(struct pending *p, struct pending_entry **at, answer_fn **fn, void **ctx)
{
	struct pending_entry *e = *at;

	*fn = e->fn;
	*ctx = e->ctx;
	*at = e->next;
	free(e);
	p->count--;
}

int
pending_take(struct pending *p, uint64_t id, answer_fn **fn, void **ctx)
{
	struct pending_entry **e = find(p, id);

	if (e == NULL)
		return -1;
	take(p, e, fn, ctx);
	return 0;
}

int
pending_take_any(struct pending *p, answer_fn **fn, void **ctx)
{
	for (size_t i = 0; p->count > 0 && i < p->nslots; i++) {
		if (p->slots[i] != NULL) {
			take(p, &p->slots[i], fn, ctx);
			return 0;
		}
	}
	return -1;
}
