/*
 * One segment read from its disk image: first its batches, then, once it is
 * known how far it was durable, its records. Anything may stand in the file.
 */
#ifndef POSTERN_QUEUE_SCAN_H
#define POSTERN_QUEUE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/record.h"

struct scan_batch {
	uint64_t offset;
	uint32_t used;
	uint64_t mark_generation, mark_offset;
};

struct scan {
	int fd; /* not owned */
	uint64_t size, generation;
	/* Set between the two steps: below limit everything was durable; at
	 * stop and behind it nothing counts. */
	uint64_t limit, stop;
	struct scan_batch *batches; /* owned */
	size_t nbatches, capbatches;
	uint64_t last_batch; /* highest sequence seen */
	/* What the second step found. */
	uint64_t end; /* of what counts */
	bool torn;    /* it was cut there */
	/* Of both: the disk did not give all of it. */
	bool unreadable;
	/* A piece of the file. */
	uint8_t *window; /* owned */
	uint64_t window_at;
	size_t window_len, window_cap;
};

struct scan_record {
	struct record_header header;
	uint64_t offset;
	uint32_t length;        /* header and payload */
	const uint8_t *payload; /* until the callback returns */
};

struct scan_ops {
	void (*on_record)(void *ctx, const struct scan_record *r);
	/* Bytes that were durable and are not what was written; seq 0 when
	 * it is not known whose they were. */
	void (*on_damage)(void *ctx, uint64_t offset, const uint8_t *p,
	    size_t len, uint64_t seq);
};

void scan_init(struct scan *s, int fd, uint64_t size, uint64_t generation);
void scan_clear(struct scan *s);
/* Frees the window; batches stay. */
void scan_forget_window(struct scan *s);
/* Finds every batch header of this generation. */
void scan_batches(struct scan *s);
/* Every record that counts, in order. */
void scan_records(struct scan *s, const struct scan_ops *ops, void *ctx);

#endif
