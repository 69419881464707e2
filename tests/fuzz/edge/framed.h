/*
 * Frames that keep to the contract, made of whatever comes: a byte that
 * picks the message, one that is the request, then its fields: a byte for each
 * integer, one of length before each string. So nothing has to be known of
 * numbers that change with the edge.
 */
#ifndef POSTERN_TESTS_FRAMED_H
#define POSTERN_TESTS_FRAMED_H

#include "lib/base/buf.h"
#include "lib/base/bytes.h"
#include "lib/ipc/edge.h"
#include "lib/ipc/frame.h"

static inline uint8_t
framed_byte(struct str *in)
{
	uint8_t b = in->len > 0 ? (uint8_t)in->p[0] : 0;

	*in = str_skip(*in, 1);
	return b;
}

static inline void
framed_integer(struct buf *out, uint64_t max, uint8_t byte, size_t width)
{
	uint8_t wire[8];
	uint64_t value = byte == 255 || byte > max ? max : byte;

	put_le64(wire, value);
	buf_add(out, wire, width);
}

static inline void
framed_string(struct buf *out, uint64_t max, struct str *in)
{
	uint8_t wire[4], n = framed_byte(in);
	struct str s = str_head(*in, n <= max ? n : (size_t)max);

	put_le32(wire, (uint32_t)s.len);
	buf_add(out, wire, sizeof(wire));
	buf_add_str(out, s);
	*in = str_skip(*in, s.len);
}

static inline void
framed_field(struct buf *out, const struct wire_field *f, struct str *in)
{
	switch (f->kind) {
	case WIRE_u8:
		framed_integer(out, f->max, framed_byte(in), 1);
		break;
	case WIRE_u16:
		framed_integer(out, f->max, framed_byte(in), 2);
		break;
	case WIRE_u32:
		framed_integer(out, f->max, framed_byte(in), 4);
		break;
	case WIRE_u64:
		framed_integer(out, f->max, framed_byte(in), 8);
		break;
	case WIRE_str:
	case WIRE_bin:
		framed_string(out, f->max, in);
		break;
	case WIRE_fd: /* which is missing then */
		break;
	}
}

/* The frame of that type and id; its length is the payload's. */
static inline void
framed_put(struct buf *out, struct frame f, struct str payload)
{
	uint8_t header[FRAME_HEADER];

	f.len = (uint32_t)payload.len;
	frame_encode(&f, header);
	buf_add(out, header, sizeof(header));
	buf_add_str(out, payload);
}

/* What a peer that has the same contract says first. */
static inline void
framed_hello(struct buf *out, const struct edge *e)
{
	uint8_t hash[8];

	put_le64(hash, edge_hash(e));
	framed_put(out, (struct frame){ 0 },
	    (struct str){ (const char *)hash, sizeof(hash) });
}

/* One frame of this edge, of what stands first in the input. */
static inline void
framed_add(struct buf *out, const struct edge *e, struct str *in)
{
	const struct edge_row *row = &e->rows[framed_byte(in) % e->nrows];
	struct frame f = { .type = row->type, .id = framed_byte(in) };
	struct buf payload;

	buf_init(&payload, 65536);
	for (const struct wire_field *w = row->wire->fields(); w->name != NULL;
	     w++)
		framed_field(&payload, w, in);
	framed_put(out, f, buf_str(&payload));
	buf_clear(&payload);
}

#endif
