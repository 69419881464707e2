/*
 * Packets of the milter protocol: a length of four bytes (that of code and
 * payload), a code of one byte, a payload. Numbers are big-endian, strings
 * end in NUL.
 */
#ifndef POSTERN_MILTERS_CLIENT_PACKET_H
#define POSTERN_MILTERS_CLIENT_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum {
	PACKET_HEAD = 5,
	/* Payload of what we send: libmilter drops the connection of who sends
	 * more, without a word. */
	PACKET_SEND_MAX = 65535,
	/* Payload of what we take. */
	PACKET_TAKE_MAX = (1 << 20) + 4096
};

struct packet {
	char code;
	struct str payload; /* views the input */
};

enum packet_state {
	PACKET_WHOLE,
	PACKET_MORE, /* it goes on behind the input */
	PACKET_BAD   /* no such length: the stream is of no use any more */
};

/* Looks at what stands at the start of in. With PACKET_BAD *length is what
 * it claims; else out is set when it is whole. */
enum packet_state packet_decode(
    struct str in, struct packet *out, uint32_t *length);
/* Bytes of a whole one on the wire. */
size_t packet_size(const struct packet *p);

/* Begins one at the end of b; returns where. */
size_t packet_start(struct buf *b, char code);
/* Ends the one begun there. -1: its payload is longer than PACKET_SEND_MAX, or
 * b is full; what was added is taken off again. */
int packet_finish(struct buf *b, size_t start);
void packet_add_u16(struct buf *b, uint16_t v);
void packet_add_u32(struct buf *b, uint32_t v);
/* s holds no NUL; its own is added. */
void packet_add_string(struct buf *b, struct str s);

/* Takes one off the front of a payload. 0, or -1 when it is not there. */
int packet_take_u32(struct str *payload, uint32_t *out);
int packet_take_string(struct str *payload, struct str *out);

#endif
