/*
 * The imsg decoder: bytes of a hostile peer on every edge. The first byte
 * picks the edge and our end, the second whether a good hello is sent first;
 * the rest goes down the socket as it is. Whatever comes, the receiver lives;
 * and what it decodes encodes to the same bytes again.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "edges/control_all.h"
#include "edges/queue_delivery.h"
#include "edges/smtpd_queue.h"
#include "lib/base/bytes.h"
#include "lib/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct edge *const edges[] = { &all_parent_edge, &control_all_edge,
	&queue_delivery_edge, &smtpd_queue_edge };
static struct loop *loop;
static const struct edge *edge;

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

static void
on_stop(void *ctx)
{
	loop_stop(ctx);
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
feed(int fd, const uint8_t *data, size_t size, bool hello)
{
	uint8_t frame[24] = { 8 };

	if (hello) {
		put_le64(frame + 16, edge_hash(edge));
		assert(write(fd, frame, sizeof(frame)) == sizeof(frame));
	}
	if (size > 0 && write(fd, data, size) < 0)
		abort();
}

static void
round_once(void)
{
	/* A timer ends the round: the channel has nothing more to read. */
	struct timer *t = timer_new(loop, on_stop, loop);

	timer_set(t, 0);
	loop_run(loop);
	timer_free(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct handler handlers[65] = { 0 };
	int fds[2];

	if (size < 2 || size > 65536)
		return 0;
	if (loop == NULL) {
		loop = loop_new();
		log_set_fd(open("/dev/null", O_WRONLY), LOG_SINK_STREAM);
	}
	edge = edges[data[0] % 4];
	decode_all(data + 2, size - 2);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		abort();
	for (size_t i = 0; i < edge->nrows; i++)
		handlers[i] = (struct handler){ edge->rows[i].type, on_any };
	struct channel *ch = channel_new(loop, fds[0], edge,
	    (data[0] & 4) != 0 ? EDGE_A : EDGE_B, handlers, on_closed, NULL);
	feed(fds[1], data + 2, size - 2, (data[1] & 1) != 0);
	round_once();
	channel_free(&ch);
	close(fds[1]);
	round_once();
	return 0;
}
