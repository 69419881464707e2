/*
 * Group commit: what is added gathers in memory in the form it has on disk;
 * one write and one fdatasync a segment make it durable; then everybody who
 * waits is told.
 */
#ifndef POSTERN_QUEUE_COMMITTER_H
#define POSTERN_QUEUE_COMMITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/journal.h"
#include "queue/record.h"
#include "queue/store.h"

/* What waits for the commit. */
struct commit_op {
	uint8_t kind; /* enum record_kind */
	bool failed;  /* there was no place for it */
	bool whole;   /* a state that replaces all before */
	uint32_t run; /* index of the run it is in */
	uint64_t seq;
	struct store_ref ref; /* of its message; set for mail once durable */
	uint32_t offset, length, nrcpt; /* of mail: for its slot */
	uint64_t bodyfile;              /* of mail */
	store_committed_fn *fn;
	void *ctx;
};

/* Consecutive bytes for one segment. */
struct run {
	uint32_t segment; /* index */
	bool fresh;       /* the segment's header is in front */
	bool durable;
	bool open;      /* a batch is */
	uint64_t start; /* offset in the segment */
	uint8_t *p;     /* owned */
	size_t len, cap;
	size_t batch; /* where the open batch begins in p */
	uint32_t records;
	uint64_t mark_generation, mark_offset;
};

struct committer {
	struct journal *journal;
	struct run *runs; /* owned; those before nruns are in use, the first
			   * keeps its buffer */
	uint32_t nruns, capruns;
	struct commit_op *ops, *told; /* owned; gathering, being told */
	size_t nops, capops, captold;
	/* Before the caller is told of a mail, and when a message's end is
	 * durable; not ok: a mail that was not kept. May be NULL. */
	void (*on_told)(void *ctx, const struct commit_op *op, bool ok);
	void *ctx;
	struct store_totals *totals;
};

void committer_init(
    struct committer *c, struct journal *j, struct store_totals *totals);
void committer_clear(struct committer *c);

/* Room for a record with this payload; where to write it, or NULL when there
 * is none. Then committer_push, before anything else. */
uint8_t *committer_reserve(
    struct committer *c, size_t payload, bool for_states);
/* Completes the record that was reserved; op's place and run are filled in. */
void committer_push(struct committer *c, const struct record_header *given,
    const struct commit_op *op);
/* op has failed already; it is told with the others. */
void committer_push_failed(struct committer *c, const struct commit_op *op);
bool committer_is_dirty(const struct committer *c);
/* Are there bytes for this segment that were not written yet? */
bool committer_uses(const struct committer *c, uint32_t segment);
/* Writes and syncs. -1 with errno: a segment was abandoned, and what follows
 * in the log was not written. */
int committer_write(struct committer *c);
/* Books what is durable and calls back; starts anew. */
void committer_tell(struct committer *c);

#endif
