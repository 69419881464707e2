/*
 * The format of the log: segments, batches and records, as bytes.
 *
 * A segment is a file of fixed size that is used again and again. Each use
 * has a generation: the upper 32 bits count the uses in the spool, the lower
 * 32 are random, so that nobody who sends mail can write bytes that would
 * pass for a record. Every CRC-32C below begins with the generation's eight
 * bytes. All integers are little-endian.
 *
 *   0      segment header            4096 bytes
 *   4096   the same once more        4096 bytes
 *   8192   batches, each beginning at a multiple of 4096
 *
 * Header: both copies are written together. The copy with the higher
 * generation counts; generation 0 is a spare, whose batches mean nothing.
 *
 *   0 magic "PSTNSEG\n"       8 version u32          12 file number u32
 *  16 size u64               24 generation u64       32 opened, ms u64
 *  40 previous generation    48 its durable end      56 next batch sequence
 *  64 highest message seq    72 number of cuts u32   76 zero u32
 *  80 cuts: {generation u64, end u64} each
 *  4092 crc u32 of all before it (for a spare: with generation 0)
 *
 * A cut says that nothing at or behind `end` of that generation counts, ever:
 * it was torn, or its write or sync failed. Each new header repeats those
 * that are still needed.
 *
 * Batch: what one commit wrote (a very large one is several).
 *
 *   0 magic "PBAT"            4 used u32, with this header
 *   8 generation             16 sequence u64         24 own offset u64
 *  32 mark generation        40 mark offset          48 records u32
 *  52 flags u32              56 zero u32             60 crc u32
 *
 * The mark is the end of what was durable when the batch was written. Below
 * the highest mark a bad record is damage; above it, a torn tail.
 * Zeros fill the batch up to the next multiple of 4096, so that a page that
 * holds durable bytes is never written again.
 *
 * Record: at a multiple of 8 inside its batch.
 *
 *   0 kind u8   1 version u8   2 flags u16    4 payload length u32
 *   8 generation u64          16 message seq u64
 *  24 payload crc u32         28 crc u32 of the 28 bytes before
 *  32 payload
 *
 * Version 3 is version 4 without what recipients were before a change that can
 * be undone. Version 2 is version 3 without what a sender wishes to be told and
 * who he was: a mail record had no envelope id, no user and nobody held from
 * the start, its recipients no notify and orcpt. Version 1 is version 2 without
 * what filters brought: no filter, reason and context, no start of recipients.
 * Both are still read.
 *
 * Of two mail records of one seq the later (by batch sequence) counts; a
 * copy made to empty a segment has RECORD_MOVED. Of two mails with one id
 * that with the higher seq has taken the other's place. A state record replaces
 * the state of the recipients it names; with RECORD_WHOLE, everything said of
 * the message before. RECORD_FINISHED ends a message.
 */
#ifndef POSTERN_QUEUE_RECORD_H
#define POSTERN_QUEUE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/store.h"

enum {
	SEGMENT_VERSION = 1,
	SEGMENT_BLOCK = 4096,   /* alignment of batches; size of a header */
	SEGMENT_DATA = 8192,    /* where batches begin */
	SEGMENT_CUTS_MAX = 240, /* that a header can carry */
	BATCH_HEADER = 64,
	BATCH_SIZE_MAX = 8388608, /* a longer one only for one long record */
	RECORD_HEADER = 32,
	RECORD_ALIGN = 8,
	RECORD_VERSION = 4,    /* what is written */
	RECORD_VERSION_MIN = 1 /* what is still read */
};

enum record_kind { RECORD_MAIL = 1, RECORD_STATE = 2, RECORD_FINISHED = 3 };

enum record_flags {
	RECORD_MOVED = 1, /* a copy of a mail record */
	RECORD_WHOLE = 2, /* says everything there is to say of its message */
	RECORD_FLAGS_ALL = 3
};

enum batch_flags { BATCH_MARK = 1 /* no records, only the mark */ };

struct segment_cut {
	uint64_t generation;
	uint64_t end; /* offset */
};

struct segment_header {
	uint32_t number;          /* names the file */
	uint64_t size;            /* bytes of the file */
	uint64_t generation;      /* 0: a spare */
	uint64_t opened_ms;       /* wall */
	uint64_t prev_generation; /* that was written before; 0: none */
	uint64_t prev_end;        /* and how far */
	uint64_t next_batch;      /* sequence of the first batch here */
	uint64_t last_seq;        /* the highest seq in use by then */
	uint32_t ncuts;
	struct segment_cut cuts[SEGMENT_CUTS_MAX];
};

struct batch_header {
	uint32_t used; /* bytes, this header counted, padding not */
	uint64_t generation;
	uint64_t sequence;
	uint64_t offset; /* where it stands in the segment */
	uint64_t mark_generation;
	uint64_t mark_offset;
	uint32_t records;
	uint32_t flags; /* enum batch_flags */
};

struct record_header {
	uint8_t kind;    /* enum record_kind */
	uint8_t version; /* as read; what is sealed has RECORD_VERSION */
	uint16_t flags;  /* enum record_flags */
	uint32_t length; /* of the payload */
	uint64_t generation;
	uint64_t seq;
	uint32_t payload_crc;
};

/* n up to the next multiple of align (a power of two). */
static inline uint64_t
round_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

/* Each encoder writes exactly its block; each decoder returns 0, or -1 when
 * the bytes are not that (magic, version, CRC, a length out of bounds). */
void segment_header_encode(
    uint8_t out[static SEGMENT_BLOCK], const struct segment_header *h);
int segment_header_decode(
    const uint8_t in[static SEGMENT_BLOCK], struct segment_header *h);
void batch_header_encode(
    uint8_t out[static BATCH_HEADER], const struct batch_header *h);
/* generation: that of the segment; anything else is refused. */
int batch_header_decode(const uint8_t in[static BATCH_HEADER],
    uint64_t generation, struct batch_header *h);
/* Computes the payload's CRC, which lies behind the header in out. */
void record_seal(
    uint8_t *out, const struct record_header *h, const uint8_t *payload);
int record_header_decode(const uint8_t in[static RECORD_HEADER],
    uint64_t generation, struct record_header *h);
bool record_payload_is_good(
    const struct record_header *h, const uint8_t *payload);

/* Bytes of the payload; 0 when a field is too long for the format. */
size_t mail_size(const struct mail_record *m);
/* Writes mail_size() bytes. */
void mail_encode(uint8_t *out, const struct mail_record *m);

/* A decoded mail; its views point into the payload. */
struct mail_decoded {
	struct mail_record mail;
	struct mail_rcpt *rcpts; /* owned */
};

/* p: the payload that h tells of. */
int mail_decode(
    const struct record_header *h, const uint8_t *p, struct mail_decoded *out);
void mail_decoded_clear(struct mail_decoded *d);

size_t state_size(const struct state_record *s);
void state_encode(uint8_t *out, const struct state_record *s);

struct state_decoded {
	struct state_record state;
	struct state_rcpt *rcpts; /* owned */
};

int state_decode(
    const uint8_t *p, size_t len, uint64_t seq, struct state_decoded *out);
void state_decoded_clear(struct state_decoded *d);

#endif
