/*
 * The other end of a conversation, in the same loop: a filter that answers
 * each event as it was told, and notes what it heard.
 */
#ifndef POSTERN_TESTS_FILTER_PEER_H
#define POSTERN_TESTS_FILTER_PEER_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/loop.h"
#include "lib/net/stream.h"
#include "milters/client/packet.h"
#include "milters/client/talk_state.h"

/* Some bytes with their length, NULs and all. */
#define BYTES(literal) literal, sizeof(literal) - 1

struct filter_peer {
	struct stream *stream;
	struct buf replies[128]; /* by the event's code: sent for each */
	struct buf heard;        /* "C H M(<a@b>|SIZE=1) …" */
	struct buf out;          /* byte by byte: what is still to go */
	struct timer *tick;
	size_t cut;   /* after so many bytes it closes; 0: never */
	size_t sent;  /* bytes */
	size_t bytes; /* of bodies heard */
	size_t unsent_max;
	bool slowly;  /* one byte a round */
	char endless; /* from this event on it sends that, again and again */
	struct str again;
	bool macros; /* heard has them */
	bool brief;  /* heard has the codes alone */
	bool deaf;   /* reads nothing more once it was told of a body */
	bool ended;
};

static struct loop *loop;
static struct filter_peer peer;
static struct talk *talk;

/* What the filter says to an event. */
static inline void
says(char event, const char *packets, size_t len)
{
	struct buf *b = &peer.replies[(unsigned char)event & 127];

	buf_reset(b);
	buf_add(b, packets, len);
}

/* One packet more. */
static inline void
says_also(char event, char code, const char *payload, size_t len)
{
	struct buf *b = &peer.replies[(unsigned char)event & 127];
	size_t start = b->len;

	packet_add_u32(b, (uint32_t)len + 1);
	buf_add_char(b, code);
	buf_add(b, payload, len);
	ck_assert_uint_eq(b->len, start + 5 + len);
}

static inline void
says_one(char event, char code, const char *payload, size_t len)
{
	buf_reset(&peer.replies[(unsigned char)event & 127]);
	says_also(event, code, payload, len);
}

/* Nothing at all. */
static inline void
says_nothing(char event)
{
	buf_reset(&peer.replies[(unsigned char)event & 127]);
}

static inline void
offers(uint32_t version, uint32_t actions, uint32_t steps)
{
	char payload[12];
	struct buf b;

	buf_init(&b, 12);
	packet_add_u32(&b, version);
	packet_add_u32(&b, actions);
	packet_add_u32(&b, steps);
	memcpy(payload, b.p, sizeof(payload));
	buf_clear(&b);
	says_one('O', 'O', payload, sizeof(payload));
}

static inline void
peer_close(void)
{
	peer.ended = true;
	stream_close(&peer.stream);
	timer_stop(peer.tick);
}

static inline void
peer_put(const char *p, size_t len)
{
	if (peer.cut != 0 && peer.sent + len >= peer.cut)
		len = peer.cut - peer.sent;
	stream_write(peer.stream, p, len);
	peer.sent += len;
	if (peer.cut != 0 && peer.sent >= peer.cut)
		peer_close();
}

static inline void
peer_tick(void *ctx)
{
	(void)ctx;
	if (peer.stream != NULL && peer.endless == '!') {
		timer_set(peer.tick, 5);
		peer_put(peer.again.p, peer.again.len);
		return;
	}
	if (peer.stream == NULL || peer.out.len == 0)
		return;
	char c = peer.out.p[0];
	buf_drop(&peer.out, 1);
	timer_set(peer.tick, 0);
	peer_put(&c, 1);
}

static inline void
peer_reply(const struct buf *b)
{
	if (peer.slowly) {
		buf_add_str(&peer.out, buf_str(b));
		timer_set(peer.tick, 0);
	} else if (b->len > 0) {
		peer_put(b->p, b->len);
	}
}

static inline void
peer_note(const struct packet *p)
{
	struct str rest = p->payload;

	if (p->code == 'D' && !peer.macros)
		return;
	if (peer.heard.len > 0)
		buf_add_char(&peer.heard, ' ');
	buf_add_char(&peer.heard, p->code);
	if (rest.len == 0 || peer.brief || p->code == 'O')
		return;
	if (rest.len > 0 && rest.p[rest.len - 1] == '\0')
		rest.len--;
	buf_add_char(&peer.heard, '(');
	for (size_t i = 0; i < rest.len && i < 200; i++)
		buf_add_char(&peer.heard, rest.p[i] == '\0' ? '|' : rest.p[i]);
	buf_add_char(&peer.heard, ')');
}

static size_t
peer_data(void *ctx, struct str in)
{
	struct packet p;
	uint32_t length = 0;
	size_t used = 0;

	(void)ctx;
	while (peer.stream != NULL &&
	       packet_decode(str_skip(in, used), &p, &length) == PACKET_WHOLE) {
		used += packet_size(&p);
		peer_note(&p);
		if (p.code == 'B')
			peer.bytes += p.payload.len;
		if (p.code == 'B' && peer.deaf)
			stream_pause(peer.stream);
		if (talk != NULL && talk->stream != NULL &&
		    stream_unsent(talk->stream) > peer.unsent_max)
			peer.unsent_max = stream_unsent(talk->stream);
		if (p.code == peer.endless) {
			peer.endless = '!';
			timer_set(peer.tick, 0);
		}
		peer_reply(&peer.replies[(unsigned char)p.code & 127]);
	}
	return used;
}

static inline void
peer_timeout(void *ctx)
{
	(void)ctx;
}

static inline void
peer_end(void *ctx, int error)
{
	(void)ctx;
	(void)error;
	peer_close();
}

static const struct stream_ops peer_ops = { peer_data, NULL, peer_timeout,
	peer_end, NULL };

/* A new one, at the other end of what is returned. Goes on with all. */
static inline int
peer_new(void)
{
	int fds[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	memset(&peer, 0, sizeof(peer));
	peer.stream = stream_new(loop, fds[0], false, &peer_ops, NULL);
	peer.tick = timer_new(loop, peer_tick, NULL);
	buf_init(&peer.heard, 1 << 20);
	buf_init(&peer.out, 1 << 20);
	for (int i = 0; i < 128; i++)
		buf_init(&peer.replies[i], 8 << 20);
	offers(6, 0x1ff, 0);
	for (const char *c = "CHMRTULNBE"; *c != '\0'; c++)
		says(*c, BYTES("\0\0\0\1c"));
	return fds[1];
}

static inline void
peer_free(void)
{
	stream_close(&peer.stream);
	timer_free(&peer.tick);
	buf_clear(&peer.heard);
	buf_clear(&peer.out);
	for (int i = 0; i < 128; i++)
		buf_clear(&peer.replies[i]);
}

/* What it heard since the last call. */
static inline const char *
heard(void)
{
	static char text[65536];

	snprintf(text, sizeof(text), "%.*s", (int)peer.heard.len,
	    peer.heard.len > 0 ? peer.heard.p : "");
	buf_reset(&peer.heard);
	return text;
}

#endif
