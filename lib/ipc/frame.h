/* The frame around every message: u32 payload length, u16 type, u16 flags,
 * u64 request id, little-endian; then the payload. */
#ifndef POSTERN_IPC_FRAME_H
#define POSTERN_IPC_FRAME_H

#include "lib/base/bytes.h"

enum {
	FRAME_HEADER = 16, /* bytes */
	FRAME_HAS_FD = 1   /* in flags: a descriptor travels with it */
};

struct frame {
	uint32_t len; /* of the payload */
	uint16_t type;
	uint16_t flags;
	uint64_t id;
};

static inline void
frame_encode(const struct frame *f, uint8_t out[static FRAME_HEADER])
{
	put_le32(out, f->len);
	put_le16(out + 4, f->type);
	put_le16(out + 6, f->flags);
	put_le64(out + 8, f->id);
}

static inline struct frame
frame_decode(const uint8_t in[static FRAME_HEADER])
{
	return (struct frame){ get_le32(in), get_le16(in + 4), get_le16(in + 6),
		get_le64(in + 8) };
}

#endif
