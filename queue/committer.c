/* Group commit; see committer.h. */
#include "queue/committer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "queue/disk.h"

enum {
	RUN_FIRST = 65536, /* first size of a run's buffer */
	RUN_KEEP = 4194304 /* a larger one is given back after its commit */
};

void
committer_init(
    struct committer *c, struct journal *j, struct store_totals *totals)
{
	memset(c, 0, sizeof(*c));
	c->journal = j;
	c->totals = totals;
}

void
committer_clear(struct committer *c)
{
	for (uint32_t i = 0; i < c->capruns; i++)
		free(c->runs[i].p);
	free(c->runs);
	free(c->ops);
	free(c->told);
	memset(c, 0, sizeof(*c));
}

bool
committer_is_dirty(const struct committer *c)
{
	return c->nops > 0;
}

bool
committer_uses(const struct committer *c, uint32_t segment)
{
	for (uint32_t i = 0; i < c->nruns; i++) {
		if (c->runs[i].segment == segment)
			return true;
	}
	return false;
}

/* len more bytes at the end. */
static uint8_t *
run_extend(struct run *r, size_t len)
{
	uint8_t *p;

	if (r->cap - r->len < len) {
		size_t cap = r->cap == 0 ? RUN_FIRST : r->cap;

		while (cap - r->len < len)
			cap *= 2;
		r->p = xreallocarray(r->p, cap, 1);
		r->cap = cap;
	}
	p = r->p + r->len;
	r->len += len;
	return p;
}

static void
run_open_batch(struct run *r)
{
	r->batch = r->len;
	r->records = 0;
	r->open = true;
	run_extend(r, BATCH_HEADER);
}

static void
run_close_batch(struct committer *c, struct run *r)
{
	struct journal *j = c->journal;
	struct batch_header b = { .used = (uint32_t)(r->len - r->batch),
		.generation = j->segments[r->segment].generation,
		.offset = r->start + r->batch,
		.mark_generation = r->mark_generation,
		.mark_offset = r->mark_offset,
		.records = r->records };
	size_t pad = (size_t)round_up(r->len, SEGMENT_BLOCK) - r->len;

	if (!r->open)
		return;
	b.sequence = j->next_batch++;
	memset(run_extend(r, pad), 0, pad);
	batch_header_encode(r->p + r->batch, &b);
	r->open = false;
}

static struct run *
run_add(struct committer *c, uint32_t segment)
{
	struct journal *j = c->journal;
	struct run *r;

	if (c->nruns == c->capruns) {
		uint32_t cap = c->capruns * 2 + 2;

		c->runs = xreallocarray(c->runs, cap, sizeof(*c->runs));
		memset(c->runs + c->capruns, 0,
		    (cap - c->capruns) * sizeof(*c->runs));
		c->capruns = cap;
	}
	assert(c->runs != NULL);
	r = &c->runs[c->nruns];
	*r = (struct run){ .segment = segment, .p = r->p, .cap = r->cap };
	r->start = j->segments[segment].end;
	r->fresh = r->start == 0;
	r->mark_generation = j->mark_generation;
	r->mark_offset = j->mark_offset;
	if (c->nruns > 0) {
		/* Written and synced before this one is. */
		const struct run *before = r - 1;

		r->mark_generation = j->segments[before->segment].generation;
		r->mark_offset = before->start + before->len;
	}
	c->nruns++;
	if (r->fresh)
		journal_encode_header(j, segment, r->mark_generation,
		    r->mark_offset, run_extend(r, SEGMENT_DATA));
	return r;
}

/* The offset behind a record of this size, were it put here next. */
static bool
run_fits(const struct journal *j, const struct run *r, size_t size)
{
	uint64_t at = r->start + r->len;

	if (!r->open)
		at += BATCH_HEADER;
	else if (r->len - r->batch + size > BATCH_SIZE_MAX)
		at = round_up(at, SEGMENT_BLOCK) + BATCH_HEADER;
	return round_up(at + size, SEGMENT_BLOCK) <=
	       j->segments[r->segment].size;
}

static bool
active_fits(const struct journal *j, size_t size)
{
	const struct segment *s;

	if (j->active == NO_SEGMENT)
		return false;
	s = &j->segments[j->active];
	return round_up(s->end + BATCH_HEADER + size, SEGMENT_BLOCK) <= s->size;
}

static struct run *
run_for(struct committer *c, size_t size, bool for_states)
{
	struct journal *j = c->journal;
	struct run *r = c->nruns > 0 ? &c->runs[c->nruns - 1] : NULL;
	uint32_t segment;

	if (r != NULL && run_fits(j, r, size))
		return r;
	if (r == NULL && active_fits(j, size))
		return run_add(c, j->active);
	segment = journal_open(j, for_states);
	if (segment == NO_SEGMENT)
		return NULL;
	if (r != NULL)
		run_close_batch(c, r);
	return run_add(c, segment);
}

uint8_t *
committer_reserve(struct committer *c, size_t payload, bool for_states)
{
	size_t size = RECORD_HEADER + (size_t)round_up(payload, RECORD_ALIGN);
	struct run *r;
	uint8_t *p;

	if (!journal_can_hold(c->journal, payload)) {
		errno = EMSGSIZE;
		return NULL;
	}
	r = run_for(c, size, for_states);
	if (r == NULL)
		return NULL;
	if (r->open && r->len - r->batch + size > BATCH_SIZE_MAX)
		run_close_batch(c, r);
	if (!r->open)
		run_open_batch(r);
	p = run_extend(r, size);
	memset(p + size - RECORD_ALIGN, 0, RECORD_ALIGN);
	return p + RECORD_HEADER;
}

static struct commit_op *
op_add(struct committer *c, const struct commit_op *op)
{
	if (c->nops == c->capops) {
		c->capops = c->capops * 2 + 64;
		c->ops = xreallocarray(c->ops, c->capops, sizeof(*c->ops));
	}
	c->ops[c->nops] = *op;
	return &c->ops[c->nops++];
}

void
committer_push(struct committer *c, const struct record_header *given,
    const struct commit_op *op)
{
	struct run *r = &c->runs[c->nruns - 1];
	size_t size =
	    RECORD_HEADER + (size_t)round_up(given->length, RECORD_ALIGN);
	uint8_t *p = r->p + r->len - size;
	struct record_header h = *given;
	struct commit_op *mine = op_add(c, op);

	h.generation = c->journal->segments[r->segment].generation;
	record_seal(p, &h, p + RECORD_HEADER);
	r->records++;
	mine->failed = false;
	mine->run = c->nruns - 1;
	mine->offset = (uint32_t)(r->start + r->len - size);
	mine->length = RECORD_HEADER + h.length;
}

void
committer_push_failed(struct committer *c, const struct commit_op *op)
{
	op_add(c, op)->failed = true;
}

static int
run_write(struct committer *c, struct run *r)
{
	struct journal *j = c->journal;
	struct segment *s = &j->segments[r->segment];

	run_close_batch(c, r);
	c->totals->syncs++;
	if (disk_write(s->fd, r->p, r->len, r->start) == -1 ||
	    disk_fdatasync(s->fd) == -1)
		return -1;
	c->totals->bytes += r->len;
	r->durable = true;
	s->end = r->start + r->len;
	j->mark_generation = s->generation;
	j->mark_offset = s->end;
	return 0;
}

int
committer_write(struct committer *c)
{
	uint32_t i = 0;
	int error;

	while (i < c->nruns && run_write(c, &c->runs[i]) == 0)
		i++;
	if (i == c->nruns) {
		if (i > 0)
			c->totals->commits++;
		return 0;
	}
	error = errno;
	/* Those behind it were never written: backwards, so that the last
	 * spare taken is the first given back. */
	for (uint32_t k = c->nruns - 1; k > i; k--)
		journal_unopen(c->journal, c->runs[k].segment);
	journal_abandon(c->journal, c->runs[i].segment);
	errno = error;
	return -1;
}

static void
tell_mail(struct committer *c, struct commit_op *op)
{
	struct slot slot = { .seq = op->seq,
		.offset = op->offset,
		.length = op->length,
		.state_first = NO_SEGMENT,
		.state_last = NO_SEGMENT,
		.nrcpt = op->nrcpt };

	op->ref.slot = journal_add_slot(c->journal, op->ref.segment, &slot);
	c->totals->batched++;
	if (c->on_told != NULL)
		c->on_told(c->ctx, op, true);
	if (op->fn != NULL)
		op->fn(op->ctx, true, op->ref);
}

static void
tell_state(struct committer *c, const struct commit_op *op, uint32_t segment)
{
	struct slot *slot = journal_slot(c->journal, op->ref);

	if (slot == NULL || slot->seq != op->seq)
		return;
	if (slot->flags & SLOT_DEAD)
		return;
	if (op->whole || slot->state_first == NO_SEGMENT)
		slot->state_first = segment;
	slot->state_last = segment;
	if (op->whole)
		slot->flags &= ~(uint32_t)SLOT_LOST_STATE;
}

static void
tell_finished(struct committer *c, const struct commit_op *op, uint32_t segment)
{
	struct slot *slot = journal_slot(c->journal, op->ref);

	if (slot == NULL || slot->seq != op->seq)
		return;
	slot->state_first = slot->state_last = segment;
	slot->flags &= ~(uint32_t)SLOT_LOST_STATE;
	if (slot->flags & SLOT_DEAD)
		return;
	slot->flags |= SLOT_DEAD;
	c->journal->segments[op->ref.segment].live--;
	if (c->on_told != NULL)
		c->on_told(c->ctx, op, true);
}

static void
tell_failed(struct committer *c, const struct commit_op *op)
{
	struct slot *slot;

	if (op->kind == RECORD_MAIL) {
		if (c->on_told != NULL)
			c->on_told(c->ctx, op, false);
		if (op->fn != NULL)
			op->fn(op->ctx, false, op->ref);
		return;
	}
	slot = journal_slot(c->journal, op->ref);
	if (slot == NULL || slot->seq != op->seq)
		return;
	slot->flags |= SLOT_LOST_STATE;
	if (op->kind == RECORD_FINISHED && (slot->flags & SLOT_DEAD) == 0) {
		/* It is over all the same; the record follows. Its segment
		 * stays counted as live until then. */
		slot->flags |= SLOT_ENDING;
	}
}

static void
tell_op(struct committer *c, struct commit_op *op, const struct run *runs)
{
	uint32_t segment;

	if (op->failed || !runs[op->run].durable) {
		tell_failed(c, op);
		return;
	}
	segment = runs[op->run].segment;
	switch ((enum record_kind)op->kind) {
	case RECORD_MAIL:
		op->ref.segment = segment;
		tell_mail(c, op);
		break;
	case RECORD_STATE:
		tell_state(c, op, segment);
		break;
	case RECORD_FINISHED:
		tell_finished(c, op, segment);
		break;
	}
}

void
committer_tell(struct committer *c)
{
	struct commit_op *ops = c->ops;
	size_t n = c->nops, cap = c->capops;
	struct run *runs = c->runs;
	uint32_t nruns = c->nruns, capruns = c->capruns;

	/* Callbacks may add: into lists of their own. */
	c->ops = c->told;
	c->capops = c->captold;
	c->nops = 0;
	c->runs = NULL;
	c->nruns = c->capruns = 0;
	for (size_t i = 0; i < n; i++)
		tell_op(c, &ops[i], runs);
	c->told = ops;
	c->captold = cap;
	if (c->runs != NULL) {
		for (uint32_t i = 0; i < capruns; i++)
			free(runs[i].p);
		free(runs);
		return;
	}
	for (uint32_t i = 0; i < nruns; i++) {
		if (runs[i].cap > RUN_KEEP || i > 0) {
			free(runs[i].p);
			runs[i].p = NULL;
			runs[i].cap = 0;
		}
	}
	c->runs = runs;
	c->capruns = capruns;
}
