/* A binary heap of recipients by due time, and the steps between tries. */
#include "queue/retry.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"

enum {
	RETRY_FIRST = 256, /* room in the heap */
	RETRY_DEFAULT_S = 900,
	RETRY_UNHEARD_MS = 300000
};

void
retry_init(struct retry *t)
{
	*t = (struct retry){ 0 };
}

void
retry_clear(struct retry *t)
{
	free(t->heap);
	*t = (struct retry){ 0 };
}

static void
place(struct retry *t, size_t slot, struct rcpt *r)
{
	t->heap[slot] = r;
	r->slot = (uint32_t)slot;
}

static void
sift_up(struct retry *t, size_t slot)
{
	struct rcpt *r = t->heap[slot];

	while (slot > 0) {
		size_t up = (slot - 1) / 2;

		if (t->heap[up]->due_ms <= r->due_ms)
			break;
		place(t, slot, t->heap[up]);
		slot = up;
	}
	place(t, slot, r);
}

static void
sift_down(struct retry *t, size_t slot)
{
	struct rcpt *r = t->heap[slot];

	for (;;) {
		size_t down = slot * 2 + 1;

		if (down >= t->count)
			break;
		if (down + 1 < t->count &&
		    t->heap[down + 1]->due_ms < t->heap[down]->due_ms)
			down++;
		if (r->due_ms <= t->heap[down]->due_ms)
			break;
		place(t, slot, t->heap[down]);
		slot = down;
	}
	place(t, slot, r);
}

void
retry_add(struct retry *t, struct rcpt *r, uint64_t due_ms)
{
	assert(r->place == PLACE_NONE);
	if (t->count == t->cap) {
		t->cap = t->cap == 0 ? RETRY_FIRST : t->cap * 2;
		t->heap = xreallocarray(t->heap, t->cap, sizeof(struct rcpt *));
	}
	r->place = PLACE_RETRY;
	r->due_ms = due_ms;
	place(t, t->count++, r);
	sift_up(t, t->count - 1);
}

void
retry_del(struct retry *t, struct rcpt *r)
{
	size_t slot = r->slot;
	struct rcpt *last;

	assert(r->place == PLACE_RETRY && t->heap[slot] == r);
	r->place = PLACE_NONE;
	last = t->heap[--t->count];
	if (last == r)
		return;
	place(t, slot, last);
	sift_up(t, slot);
	sift_down(t, last->slot);
}

struct rcpt *
retry_first(const struct retry *t)
{
	return t->count > 0 ? t->heap[0] : NULL;
}

static uint64_t
step_ms(const struct queue_settings *q, uint32_t attempts)
{
	size_t step = attempts > 0 ? attempts - 1 : 0;

	if (q->nretry == 0)
		return RETRY_DEFAULT_S * UINT64_C(1000);
	if (step >= q->nretry)
		step = q->nretry - 1;
	return (uint64_t)q->retry_s[step] * 1000U;
}

uint64_t
retry_delay(const struct queue_settings *q, uint32_t attempts, uint32_t chance)
{
	uint64_t ms = step_ms(q, attempts);

	return ms + chance % (ms / 5 + 1);
}

uint64_t
retry_delay_unheard(
    const struct queue_settings *q, uint32_t attempts, uint32_t chance)
{
	uint64_t ms = retry_delay(q, attempts, chance);

	return ms > RETRY_UNHEARD_MS ? ms : RETRY_UNHEARD_MS;
}

uint64_t
retry_longest(const struct queue_settings *q)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < q->nretry; i++)
		if (q->retry_s[i] > longest)
			longest = q->retry_s[i];
	if (q->nretry == 0)
		longest = RETRY_DEFAULT_S;
	longest *= 1200U;
	return longest > RETRY_UNHEARD_MS ? longest : RETRY_UNHEARD_MS;
}

uint64_t
retry_clamp(
    const struct queue_settings *q, uint64_t next_wall_ms, uint64_t wall_ms)
{
	uint64_t longest = retry_longest(q);

	if (next_wall_ms <= wall_ms)
		return 0;
	return next_wall_ms - wall_ms < longest ? next_wall_ms - wall_ms :
						  longest;
}
