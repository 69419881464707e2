#include "lib/ipc/asked.h"

#include <stddef.h>

static int
asked_cmp(const struct asked *a, const struct asked *b)
{
	return (a->id > b->id) - (a->id < b->id);
}

TREE_DEFINE(asked_tree, asked, entry, asked_cmp)

uint64_t
asked_add(struct asked_tree *t, struct asked *q)
{
	static uint64_t last;

	*q = (struct asked){ .id = ++last };
	RB_INSERT(asked_tree, t, q);
	return q->id;
}

void
asked_cancel(struct asked_tree *t, uint64_t id)
{
	struct asked like = { .id = id };
	struct asked *q = RB_FIND(asked_tree, t, &like);

	if (q == NULL)
		return;
	RB_REMOVE(asked_tree, t, q);
	q->is_cancelled = true;
}

bool
asked_end(struct asked_tree *t, struct asked *q)
{
	if (q->is_cancelled)
		return false;
	RB_REMOVE(asked_tree, t, q);
	return true;
}

struct asked *
asked_oldest(struct asked_tree *t)
{
	return RB_MIN(asked_tree, t);
}
