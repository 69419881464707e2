/*
 * The segments of the log: which there are, what each is good for, and where
 * every message and its states lie.
 *
 * A segment's life: filled with zeros (a spare), opened (a new generation),
 * full, sealed; and when nothing in it is needed any more, reset to be a
 * spare again. One whose write or sync failed is abandoned: never written
 * again, read as long as its messages live, then removed.
 */
#ifndef POSTERN_QUEUE_JOURNAL_H
#define POSTERN_QUEUE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/record.h"

enum { JOURNAL_SPARES = 2 };

#define NO_SEGMENT UINT32_MAX

enum segment_state {
	SEGMENT_NONE,      /* a free place in the array */
	SEGMENT_SPARE,     /* ready to be opened; has fd */
	SEGMENT_ACTIVE,    /* being written; has fd */
	SEGMENT_FULL,      /* left for the next one, not sealed yet; has fd */
	SEGMENT_SEALED,    /* read only */
	SEGMENT_ABANDONED, /* a write failed: nothing goes there any more */
	SEGMENT_LEAVING    /* housekeeping resets or removes it */
};

enum slot_flags {
	SLOT_DEAD = 1,       /* finished */
	SLOT_OLD_COPY = 2,   /* a later copy of the record counts */
	SLOT_LOST_STATE = 4, /* a state, or the end, was not written: again */
	SLOT_ENDING = 8      /* over, but the record of that was not written */
};

/* A mail record; 32 bytes a message. */
struct slot {
	uint64_t seq;
	uint32_t offset; /* of the record's header */
	uint32_t length; /* header and payload */
	/* Its states lie in segments from the generation of the first to
	 * that of the last, or it has none (NO_SEGMENT). Once dead: where the
	 * record of its end lies. */
	uint32_t state_first, state_last;
	uint32_t nrcpt;
	uint32_t flags; /* enum slot_flags */
};

struct segment {
	uint32_t number; /* names the file */
	uint8_t state;   /* enum segment_state */
	bool cut;        /* ends at `end` whatever is behind it */
	bool pinned;     /* damage in it could not be read or set aside */
	bool stuck;      /* carrying forward went nowhere; not now */
	int fd;          /* -1 when not open */
	uint64_t size, generation;
	uint64_t end;  /* of what is durable */
	uint32_t live; /* slots that are not dead */
	uint32_t nslots, capslots;
	struct slot *slots; /* owned */
};

struct journal {
	int dir; /* log/, not owned */
	uint64_t segment_size;
	struct segment *segments; /* owned; a place keeps its index */
	uint32_t nsegments, capsegments;
	uint32_t active; /* index, or NO_SEGMENT */
	uint32_t nspares;
	bool short_of_space; /* no new segments but for states */
	uint32_t next_number;
	uint64_t last_generation; /* the highest ever in use */
	uint64_t next_batch;
	uint64_t last_seq;
	/* The end of what is durable. */
	uint64_t mark_generation, mark_offset;
	uint64_t opened; /* segments opened since the start */
};

void journal_init(struct journal *j, int dir, uint64_t segment_size);
void journal_clear(struct journal *j);

/* A free place, marked SEGMENT_LEAVING; pointers to segments are void after
 * this. */
uint32_t journal_add(struct journal *j);
void journal_del(struct journal *j, uint32_t index);
/* The place becomes a spare with this descriptor (owned from then on). */
void journal_add_spare(
    struct journal *j, uint32_t index, int fd, uint64_t size);
/* Takes a spare (makes one, blocking, when there is none ready) and opens it
 * with a new generation; on disk it is still a spare. for_states: the last
 * one may be taken, and a full disk does not keep from trying. NO_SEGMENT with
 * errno when there is none. */
uint32_t journal_open(struct journal *j, bool for_states);
/* Back to the spares: nothing was written to it. */
void journal_unopen(struct journal *j, uint32_t index);
/* Both copies of the header of an opened segment, SEGMENT_DATA bytes; the
 * end of its predecessor as it will be when this is written. */
void journal_encode_header(const struct journal *j, uint32_t index,
    uint64_t prev_generation, uint64_t prev_end, uint8_t *out);
/* A batch of nothing but the mark, SEGMENT_BLOCK bytes. */
void journal_encode_mark(
    struct journal *j, uint32_t index, uint64_t offset, uint8_t *out);
/* No more of it than what was durable counts from now on; closes it. */
void journal_abandon(struct journal *j, uint32_t index);
/* Opens a new segment and makes its header durable: what was cut or
 * abandoned cannot come back, and the disk works. Returns 0, or -1. */
int journal_probe(struct journal *j);

uint32_t journal_add_slot(
    struct journal *j, uint32_t segment, const struct slot *slot);
/* NULL when there is no such slot. */
struct slot *journal_slot(const struct journal *j, struct store_ref ref);
/* Can a record with this payload ever fit? */
bool journal_can_hold(const struct journal *j, uint64_t payload);

/* --- files; blocking, of the housekeeping thread --- */
enum { JOURNAL_NAME = 9 };

void journal_name(uint32_t number, char out[static JOURNAL_NAME]);
/* A file full of zeros with a spare's header, synced, its name too. Returns
 * its descriptor, or -1 with errno, nothing left behind. */
int journal_fill(int dir, uint32_t number, uint64_t size, uint64_t last_seq);
/* Makes a spare of a file in use. Returns its descriptor, or -1. */
int journal_reset(int dir, uint32_t number, uint64_t size, uint64_t last_seq);
int journal_remove(int dir, uint32_t number);
/* Reads a record (header and payload) into out, length bytes, and checks it:
 * 0, or -1 with why (FAULT_PERM: it is damaged; else the disk may give it
 * another time). */
struct fault;
int journal_read_record(int fd, uint64_t generation, uint64_t offset,
    uint32_t length, uint8_t *out, struct record_header *h, struct fault *why);

#endif
