/*
 * The imsg decoder: bytes of a hostile peer on every edge. The first byte
 * picks the edge and our end, the second is flags: a good hello is sent first;
 * the rest are frames { type, id, length, payload } that get a header which is
 * right, or keep to the contract (framed.h), or else goes down the socket as
 * it is; setup is over; we asked something, and hear nothing but answers.
 * Whatever comes, the receiver lives; who asked hears once; and what is
 * decoded encodes to the same bytes again.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "edges/control_all.h"
#include "edges/delivery_dialer.h"
#include "edges/delivery_fetch.h"
#include "edges/delivery_resolver.h"
#include "edges/delivery_vault.h"
#include "edges/dialer_resolver.h"
#include "edges/fetch_resolver.h"
#include "edges/queue_delivery.h"
#include "edges/smtpd_dialer.h"
#include "edges/smtpd_queue.h"
#include "edges/smtpd_resolver.h"
#include "edges/smtpd_vault.h"
#include "lib/base/log.h"
#include "tests/fuzz/edge/framed.h"
#include "tests/fuzz/rounds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct edge *const edges[] = { &all_parent_edge, &control_all_edge,
	&queue_delivery_edge, &smtpd_queue_edge, &smtpd_resolver_edge,
	&delivery_resolver_edge, &smtpd_dialer_edge, &dialer_resolver_edge,
	&delivery_fetch_edge, &fetch_resolver_edge, &delivery_dialer_edge,
	&delivery_vault_edge, &smtpd_vault_edge };

enum {
	NEDGES = sizeof(edges) / sizeof(edges[0]),
	OUT_MAX = 65536,
	SMALL_HEADER = 3
};

enum { HELLO = 1, FRAMES = 2, RUN = 4, ASK = 8, FIELDS = 16 };

static struct loop *loop;
static const struct edge *edge;
static unsigned int nasked, nheard;

static void
on_any(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
}

/* Every message type of the edge, straight through the decoder. */
static void
decode_all(const uint8_t *data, size_t size)
{
	union {
		uint64_t align;
		char room[1024];
	} msg;
	struct str in = { (const char *)data, size };

	for (size_t i = 0; i < edge->nrows; i++) {
		const struct wire_msg *w = edge->rows[i].wire;
		int fd = wire_has_fd(w) ? 0 : -1, out_fd;
		struct buf out;

		if (wire_decode(w, in, fd, msg.room) != 0)
			continue;
		buf_init(&out, size + 1);
		assert(wire_encode(w, msg.room, &out, &out_fd) == 0);
		assert(str_eq(buf_str(&out), in));
		assert(out_fd == fd);
		buf_clear(&out);
	}
}

static void
add_frames(struct buf *out, const uint8_t *p, size_t size)
{
	while (size >= SMALL_HEADER && !out->failed) {
		size_t len = p[2];

		if (len > size - SMALL_HEADER)
			len = size - SMALL_HEADER;
		framed_put(out, (struct frame){ .type = p[0], .id = p[1] },
		    (struct str){ (const char *)p + SMALL_HEADER, len });
		p += SMALL_HEADER + len;
		size -= SMALL_HEADER + len;
	}
}

/* All at once: nobody reads meanwhile. */
static void
feed(int fd, const uint8_t *data, size_t size, uint8_t flags)
{
	struct str in = { (const char *)data, size };
	struct buf out;

	buf_init(&out, OUT_MAX + 64);
	if ((flags & HELLO) != 0)
		framed_hello(&out, edge);
	if ((flags & FRAMES) != 0)
		add_frames(&out, data, size);
	while ((flags & FIELDS) != 0 && in.len > 0 && !out.failed)
		framed_add(&out, edge, &in);
	if ((flags & (FRAMES | FIELDS)) == 0)
		buf_add(&out, data, size);
	if (out.len > 0 && write(fd, out.p, out.len) != (ssize_t)out.len)
		abort();
	buf_clear(&out);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	assert((fault == NULL) == (msg != NULL));
	assert(msg == NULL || edge_row(edge, type) != NULL);
	nheard++;
}

/* Something of each type that we may say; most may be empty. */
static void
ask_all(struct channel *ch, enum edge_end end)
{
	static const union {
		uint64_t align;
		char room[1024];
	} empty;

	uint8_t direction = end == EDGE_A ? EDGE_A_TO_B : EDGE_B_TO_A;

	for (size_t i = 0; i < edge->nrows; i++) {
		const struct edge_row *r = &edge->rows[i];

		if ((r->direction & direction) == 0 || wire_has_fd(r->wire))
			continue;
		channel_ask(ch, r->type, empty.room, on_answer, NULL);
		nasked++;
	}
}

static struct channel *
our_end(int fd, enum edge_end end, uint8_t flags)
{
	struct handler handlers[65] = { 0 };
	struct channel *ch;

	for (size_t i = 0; i < edge->nrows && (flags & ASK) == 0; i++)
		handlers[i] = (struct handler){ edge->rows[i].type, on_any };
	ch = channel_new(loop, fd, edge, end, handlers, on_closed, NULL);
	if ((flags & RUN) != 0)
		channel_set_phase(ch, PHASE_RUN);
	if ((flags & ASK) != 0)
		ask_all(ch, end);
	return ch;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fds[2];

	if (size < 2 || size > OUT_MAX)
		return 0;
	if (loop == NULL) {
		loop = loop_new();
		log_set_fd(open("/dev/null", O_WRONLY), LOG_SINK_STREAM);
	}
	edge = edges[((data[0] & 3) + data[0] / 8 * 4) % NEDGES];
	decode_all(data + 2, size - 2);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		abort();
	nasked = nheard = 0;
	struct channel *ch =
	    our_end(fds[0], (data[0] & 4) != 0 ? EDGE_A : EDGE_B, data[1]);
	feed(fds[1], data + 2, size - 2, data[1]);
	round_once(loop);
	channel_free(&ch);
	close(fds[1]);
	round_once(loop);
	assert(nheard == nasked);
	return 0;
}
