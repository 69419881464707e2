#include "lib/ipc/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/ipc/channel_inside.h"

WIRE_DEFINE(hello, HELLO)

enum { FD_WEIGHT = 1024 /* a descriptor that waits to be sent */ };

static struct channel_totals totals;

const struct channel_totals *
channel_totals(void)
{
	return &totals;
}

/* --- the end --- */

void
channel_wipe(const struct channel *ch, void *p, size_t len)
{
	if (ch->out.secret && len > 0)
		explicit_bzero(p, len);
}

static void
close_fds(struct channel *ch)
{
	loop_fd_free(&ch->watch);
	/* What was said this round is said: results of work that is done. */
	if (ch->fd >= 0) {
		(void)outbox_send(&ch->out, ch->fd, &totals.send_calls);
		close(ch->fd);
	}
	ch->fd = -1;
	outbox_clear(&ch->out);
	channel_wipe(ch, ch->in.bytes.p, ch->in.bytes.len);
	inbox_clear(&ch->in);
}

static void
fail_all(struct channel *ch, struct pending *waiting, const char *why)
{
	struct fault f = { .class = FAULT_OURS };
	answer_fn *fn;
	void *ctx;

	fault_set(&f, FAULT_OURS, "%s %s", channel_peer(ch), why);
	while (pending_take_any(waiting, &fn, &ctx) == 0)
		if (fn != NULL)
			fn(ctx, &f, 0, NULL);
}

/* After the round: tells everyone who waits, then the owner. */
static void
on_fail(void *arg)
{
	struct channel *ch = arg;

	if (ch->fd < 0)
		fail_all(ch, &ch->pending, "is gone");
	fail_all(
	    ch, &ch->unsent, ch->fd < 0 ? "is gone" : "cannot be asked that");
	if (ch->freed || !ch->failing)
		return;
	ch->failing = false;
	if (ch->ended != NULL)
		ch->ended(ch->ended_ctx, ch);
	if (ch->closed != NULL)
		ch->closed(ch->ctx, ch);
}

static void
log_channel(const struct channel *ch, const char *why)
{
	log_warn(NULL, "channel", "edge=%s self=%s peer=%s why=%s",
	    ch->edge->name, ch->edge->end[ch->end], log_cstr(channel_peer(ch)),
	    log_cstr(why));
}

void
channel_fail(struct channel *ch, const char *why)
{
	if (ch->fd < 0)
		return;
	if (why != NULL)
		log_channel(ch, why);
	ch->breach = why;
	close_fds(ch);
	ch->failing = true;
	loop_after(ch->loop, &ch->fail);
}

static void
on_release(void *arg)
{
	struct channel *ch = arg;

	pending_clear(&ch->pending);
	pending_clear(&ch->unsent);
	free(ch->peer);
	free(ch);
}

void
channel_free(struct channel **p)
{
	struct channel *ch = *p;

	if (ch == NULL)
		return;
	*p = NULL;
	close_fds(ch);
	ch->freed = true;
	ch->failing = false;
	loop_after_cancel(ch->loop, &ch->flush);
	loop_after_cancel(ch->loop, &ch->calm);
	/* Pending ones hear of it after the round; release runs behind. */
	loop_after(ch->loop, &ch->fail);
	loop_after_cancel(ch->loop, &ch->release);
	loop_after(ch->loop, &ch->release);
}

/* --- the way out --- */

/* Bytes, and for each descriptor as many as it is worth. */
static size_t
load(const struct channel *ch)
{
	return outbox_unsent(&ch->out) + ch->out.nfds * FD_WEIGHT;
}

static void
want(struct channel *ch)
{
	if (ch->watch == NULL)
		return;
	loop_fd_want(
	    ch->watch, (ch->paused ? 0 : LOOP_READ) |
			   (outbox_unsent(&ch->out) > 0 ? LOOP_WRITE : 0));
}

static void
on_flush(void *arg)
{
	struct channel *ch = arg;

	if (ch->fd < 0)
		return;
	/* When nobody listens any more, what the peer said before it went is
	 * still to be read: the end comes from that side. */
	if (outbox_send(&ch->out, ch->fd, &totals.send_calls) != 0)
		outbox_clear(&ch->out);
	want(ch);
	if (ch->was_full && load(ch) < ch->edge->queue_bytes / 4) {
		ch->was_full = false;
		if (ch->drained != NULL)
			ch->drained(ch->drained_ctx);
	}
}

static int
queue_frame(struct channel *ch, uint16_t type, const struct wire_msg *wire,
    const void *msg, uint64_t id)
{
	struct frame f = { .type = type, .id = id };

	if (outbox_add(&ch->out, f, wire, msg, ch->edge->max_message) != 0)
		return -1;
	totals.sent++;
	if (load(ch) >= ch->edge->queue_bytes)
		ch->was_full = true;
	loop_after(ch->loop, &ch->flush);
	return 0;
}

static uint8_t
outward(const struct channel *ch)
{
	return ch->end == EDGE_A ? EDGE_A_TO_B : EDGE_B_TO_A;
}

int
channel_tell(struct channel *ch, uint16_t type, const void *msg, uint64_t id)
{
	const struct edge_row *row = edge_row(ch->edge, type);

	assert(row != NULL && (row->direction & outward(ch)) != 0);
	if (ch->fd < 0)
		return -1;
	return queue_frame(ch, type, row->wire, msg, id);
}

uint64_t
channel_ask(struct channel *ch, uint16_t type, const void *msg, answer_fn *fn,
    void *ctx)
{
	uint64_t id = ch->next_id;

	ch->next_id += 2;
	if (channel_tell(ch, type, msg, id) == 0) {
		pending_add(&ch->pending, id, fn, ctx);
		return id;
	}
	if (ch->fd >= 0)
		log_channel(ch, "a request does not fit its field list");
	pending_add(&ch->unsent, id, fn, ctx);
	loop_after(ch->loop, &ch->fail);
	return id;
}

void
channel_cancel(struct channel *ch, uint64_t id)
{
	pending_cancel(&ch->pending, id);
	pending_cancel(&ch->unsent, id);
}

size_t
channel_npending(const struct channel *ch)
{
	return ch->pending.count;
}

static void
on_calm(void *arg)
{
	struct channel *ch = arg;
	void (*fn)(void *) = ch->quiet;

	if (fn == NULL || ch->pending.count > 0)
		return;
	ch->quiet = NULL;
	fn(ch->quiet_ctx);
}

static void
on_ready(void *arg, int what)
{
	struct channel *ch = arg;

	if ((what & LOOP_WRITE) != 0)
		on_flush(ch);
	if ((what & LOOP_READ) != 0 && ch->fd >= 0)
		channel_read(ch);
}

/* --- life --- */

static void
queue_hello(struct channel *ch)
{
	struct hello m = { .hash = edge_hash(ch->edge) };

	queue_frame(ch, TYPE_HELLO, &hello_wire, &m, 0);
}

static struct channel *
/* NOLINTNEXTLINE(readability-function-size): an end is all of these */
make(struct loop *l, int fd, const struct edge *edge, enum edge_end end,
    const struct handler *handlers, channel_closed_fn *closed, void *ctx)
{
	struct channel *ch = xcalloc(1, sizeof(*ch));

	assert(edge->nrows <= ROWS_MAX);
	ch->loop = l;
	ch->totals = &totals;
	ch->fd = fd;
	ch->edge = edge;
	ch->end = end;
	ch->phase = edge->start;
	ch->handlers = handlers;
	ch->closed = closed;
	ch->ctx = ctx;
	/* Odd here, even there: a part belongs to one question only. */
	ch->next_id = end == EDGE_A ? 1 : 2;
	outbox_init(&ch->out);
	inbox_init(&ch->in, READ_SIZE + CHANNEL_MESSAGE_MAX + FRAME_HEADER);
	pending_init(&ch->pending);
	pending_init(&ch->unsent);
	for (const struct handler *h = handlers; h != NULL && h->type != 0;
	     h++) {
		assert(edge_row(edge, h->type) != NULL);
		ch->by_type[h->type] = h->fn;
	}
	deferred_init(&ch->flush, on_flush, ch);
	deferred_init(&ch->fail, on_fail, ch);
	deferred_init(&ch->release, on_release, ch);
	deferred_init(&ch->calm, on_calm, ch);
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	ch->watch = loop_fd_new(l, fd, on_ready, ch);
	want(ch);
	return ch;
}

struct channel *
/* NOLINTNEXTLINE(readability-function-size): an end is all of these */
channel_new(struct loop *l, int fd, const struct edge *edge, enum edge_end end,
    const struct handler *handlers, channel_closed_fn *closed, void *ctx)
{
	struct channel *ch = make(l, fd, edge, end, handlers, closed, ctx);

	queue_hello(ch);
	return ch;
}

struct channel *
/* NOLINTNEXTLINE(readability-function-size): an end is all of these */
channel_adopt(struct loop *l, int fd, const struct edge *edge,
    enum edge_end end, const struct handler *handlers,
    channel_closed_fn *closed, void *ctx)
{
	struct channel *ch = make(l, fd, edge, end, handlers, closed, ctx);

	ch->greeted = true;
	ch->phase = PHASE_RUN;
	return ch;
}

int
channel_release(struct channel **p, unsigned int ms)
{
	struct channel *ch = *p;
	int fd = ch->fd;

	channel_drain(ch, ms);
	if (ch->fd < 0 || !ch->greeted || outbox_unsent(&ch->out) > 0 ||
	    ch->in.bytes.len > 0 || inbox_has_fd(&ch->in))
		return -1;
	loop_fd_free(&ch->watch);
	ch->fd = -1;
	outbox_clear(&ch->out);
	inbox_clear(&ch->in);
	channel_free(p);
	return fd;
}

void
channel_set_phase(struct channel *ch, enum edge_phase phase)
{
	ch->phase = phase;
}

void
channel_set_peer(struct channel *ch, const char *name)
{
	free(ch->peer);
	ch->peer = xstrdup(name);
}

void
channel_set_secret(struct channel *ch)
{
	ch->out.secret = true;
}

const char *
channel_peer(const struct channel *ch)
{
	if (ch->peer != NULL)
		return ch->peer;
	return ch->edge->end[ch->end == EDGE_A ? EDGE_B : EDGE_A];
}

bool
channel_is_open(const struct channel *ch)
{
	return ch->fd >= 0;
}

const char *
channel_breach(const struct channel *ch)
{
	return ch->breach;
}

bool
channel_is_full(const struct channel *ch)
{
	return ch->fd >= 0 && load(ch) >= ch->edge->queue_bytes;
}

void
channel_on_drained(struct channel *ch, void (*fn)(void *ctx), void *ctx)
{
	ch->drained = fn;
	ch->drained_ctx = ctx;
}

void
channel_on_ended(struct channel *ch, channel_closed_fn *fn, void *ctx)
{
	ch->ended = fn;
	ch->ended_ctx = ctx;
}

void
channel_on_quiet(struct channel *ch, void (*fn)(void *ctx), void *ctx)
{
	ch->quiet = fn;
	ch->quiet_ctx = ctx;
	loop_after(ch->loop, &ch->calm);
}

void
channel_pause(struct channel *ch)
{
	ch->paused = true;
	want(ch);
}

void
channel_resume(struct channel *ch)
{
	if (!ch->paused)
		return;
	ch->paused = false;
	want(ch);
	/* Frames that lie here already will not wake us. */
	if (ch->in.bytes.len > 0)
		channel_take(ch, (struct str){ NULL, 0 });
}

void
channel_drain(struct channel *ch, unsigned int ms)
{
	on_flush(ch);
	while (ch->fd >= 0 && outbox_unsent(&ch->out) > 0) {
		struct pollfd p = { .fd = ch->fd, .events = POLLOUT };
		if (poll(&p, 1, (int)ms) != 1)
			return;
		on_flush(ch);
	}
}
