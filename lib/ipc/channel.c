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
#include "lib/ipc/inbox.h"
#include "lib/ipc/outbox.h"
#include "lib/ipc/pending.h"

enum {
	READ_SIZE = 262144, /* bytes one recvmsg may bring */
	READS_A_ROUND = 4,  /* then the others have their turn */
	TYPE_HELLO = 0,
	ROWS_MAX = 64,   /* messages of one edge */
	FD_WEIGHT = 1024 /* a descriptor that waits to be sent */
};

/* The first message each way. */
#define HELLO(F) F(u64, hash, UINT64_MAX) /* of the edge as built here */
WIRE_DECLARE(hello, HELLO)
WIRE_DEFINE(hello, HELLO)

struct channel {
	struct loop *loop;
	struct loop_fd *watch; /* NULL: closed */
	int fd;
	const struct edge *edge;
	enum edge_end end;
	enum edge_phase phase;
	char *peer;
	const char *breach; /* why we closed it; NULL: we did not */
	const struct handler *handlers;
	handler_fn *by_type[ROWS_MAX + 1];
	channel_closed_fn *closed, *ended;
	void *ctx, *ended_ctx;
	uint64_t seen; /* bit per type that came already */
	uint64_t next_id;
	struct pending pending, unsent; /* unsent: it did not fit */
	struct outbox out;
	struct inbox in;
	bool greeted; /* the peer's hello was seen and is ours */
	bool was_full, paused, failing, freed;
	void (*drained)(void *);
	void *drained_ctx;
	struct deferred flush, fail, release;
};

static struct channel_totals totals;

const struct channel_totals *
channel_totals(void)
{
	return &totals;
}

/* --- the end --- */

static void
wipe(const struct channel *ch, void *p, size_t len)
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
	wipe(ch, ch->in.bytes.p, ch->in.bytes.len);
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

/* Closes the descriptors now and says so after the round. why NULL: the
 * peer's orderly end. */
static void
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

static uint8_t
inward(const struct channel *ch)
{
	return ch->end == EDGE_A ? EDGE_B_TO_A : EDGE_A_TO_B;
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

/* --- the way in --- */

/* The peer's hello: the hash of the edge as it was built there. */
static const char *
take_hello(struct channel *ch, struct str payload)
{
	struct hello m;

	if (ch->greeted || wire_decode(&hello_wire, payload, -1, &m) != 0)
		return "bad hello";
	if (m.hash != edge_hash(ch->edge))
		return "the peer was built from other definitions";
	ch->greeted = true;
	return NULL;
}

/* Gives a decoded message to whom it is for. Takes the descriptor. */
static const char *
deliver(struct channel *ch, const struct edge_row *row, const void *msg,
    uint64_t id, int fd)
{
	handler_fn *handler = ch->by_type[row->type];
	answer_fn *fn;
	void *ctx;

	if (handler != NULL) {
		handler(ch->ctx, ch, msg, id);
		return NULL;
	}
	if (pending_take(&ch->pending, id, &fn, &ctx) != 0) {
		if (fd >= 0)
			close(fd);
		return "nobody asked for this";
	}
	if (fn != NULL)
		fn(ctx, NULL, row->type, msg);
	else if (fd >= 0)
		close(fd);
	return NULL;
}

/* We have no descriptor left for what came with this answer: whoever asked
 * hears that. The peer did nothing wrong. */
static const char *
fail_one(struct channel *ch, const struct edge_row *row, uint64_t id)
{
	struct fault why = { 0 };
	answer_fn *fn;
	void *ctx;

	ch->in.fd_lost = false;
	if (ch->by_type[row->type] != NULL ||
	    pending_take(&ch->pending, id, &fn, &ctx) != 0)
		return "no descriptor left to take one";
	fault_set(&why, FAULT_OURS, "no descriptor left");
	if (fn != NULL)
		fn(ctx, &why, 0, NULL);
	return NULL;
}

/* One whole frame. Returns why it breaks the contract, or NULL. */
static const char *
take_frame(struct channel *ch, const struct frame *f, struct str payload)
{

	union {
		uint64_t align;
		char room[1024];
	} msg;

	totals.received++;
	if (f->flags > FRAME_HAS_FD)
		return "unknown flags";
	/* A descriptor waits for the frame that claims it; frames that came
	 * in the same call may stand before that one. */
	bool has_fd = (f->flags & FRAME_HAS_FD) != 0;
	if (has_fd && !inbox_has_fd(&ch->in))
		return "descriptor missing";
	if (f->type == TYPE_HELLO)
		return take_hello(ch, payload);
	const struct edge_row *row = edge_row(ch->edge, f->type);
	const char *why =
	    ch->greeted ? edge_breach(row, inward(ch), ch->phase, &ch->seen) :
			  "spoke before its hello";
	if (why != NULL)
		return why;
	if (has_fd && ch->in.fd_lost)
		return fail_one(ch, row, f->id);
	assert(row->wire->size <= sizeof(msg.room));
	int fd = has_fd ? ch->in.fd : -1;
	if (wire_decode(row->wire, payload, fd, msg.room) != 0)
		return "malformed message";
	if (has_fd)
		ch->in.fd = -1; /* the handler's from here on */
	return deliver(ch, row, msg.room, f->id, fd);
}

/* The whole frames at the start of s; returns the bytes they took. */
static size_t
take_frames(struct channel *ch, struct str s)
{
	size_t done = 0;

	while (ch->fd >= 0 && !ch->paused && s.len - done >= FRAME_HEADER) {
		const uint8_t *at = (const uint8_t *)s.p + done;
		struct frame f = frame_decode(at);
		if (f.len > ch->edge->max_message) {
			channel_fail(ch, "message too long");
			return done;
		}
		if (s.len - done - FRAME_HEADER < f.len)
			break;
		struct str payload = { s.p + done + FRAME_HEADER, f.len };
		const char *why = take_frame(ch, &f, payload);
		if (why != NULL) {
			channel_fail(ch, why);
			return done;
		}
		done += FRAME_HEADER + f.len;
	}
	return done;
}

/* The bytes may move: where they were they do not stay. */
static void
append(const struct channel *ch, struct buf *b, struct str s)
{
	struct buf longer;

	if (!ch->out.secret) {
		buf_add_str(b, s);
		return;
	}
	buf_init(&longer, b->max);
	buf_reserve(&longer, b->len + s.len);
	buf_add_str(&longer, buf_str(b));
	buf_add_str(&longer, s);
	wipe(ch, b->p, b->len);
	buf_clear(b);
	*b = longer;
}

/* New bytes: whole frames are handled where they lie, the rest is kept. What
 * is being handled belongs to this function: a handler may free the channel. */
static void
take_bytes(struct channel *ch, struct str s)
{
	struct buf kept = ch->in.bytes;

	buf_init(&ch->in.bytes, kept.max);
	if (kept.len > 0) {
		append(ch, &kept, s);
		s = buf_str(&kept);
	}
	size_t done = kept.failed ? 0 : take_frames(ch, s);
	if (ch->fd >= 0)
		buf_add_str(&ch->in.bytes, str_skip(s, done));
	if (kept.failed || ch->in.bytes.failed)
		channel_fail(ch, "message too long");
	if (ch->fd >= 0 && ch->in.bytes.len == 0 && inbox_has_fd(&ch->in))
		channel_fail(ch, "descriptor without a message");
	wipe(ch, kept.p, kept.len);
	buf_clear(&kept);
}

static void
read_some(struct channel *ch)
{
	static char room[READ_SIZE];
	const char *why;

	for (int i = 0; i < READS_A_ROUND && ch->fd >= 0 && !ch->paused; i++) {
		totals.receive_calls++;
		ssize_t n =
		    inbox_receive(&ch->in, ch->fd, room, sizeof(room), &why);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			channel_fail(ch, ch->in.bytes.len > 0 ?
					     "ended inside a message" :
					     NULL);
			return;
		}
		if (why != NULL) {
			channel_fail(ch, why);
			return;
		}
		take_bytes(ch, (struct str){ room, (size_t)n });
		wipe(ch, room, (size_t)n);
		if ((size_t)n < sizeof(room) && !inbox_has_fd(&ch->in))
			return; /* most likely all there was */
	}
}

static void
on_ready(void *arg, int what)
{
	struct channel *ch = arg;

	if ((what & LOOP_WRITE) != 0)
		on_flush(ch);
	if ((what & LOOP_READ) != 0 && ch->fd >= 0)
		read_some(ch);
}

/* --- life --- */

static void
queue_hello(struct channel *ch)
{
	struct hello m = { .hash = edge_hash(ch->edge) };

	queue_frame(ch, TYPE_HELLO, &hello_wire, &m, 0);
}

struct channel *
/* NOLINTNEXTLINE(readability-function-size): an end is all of these */
channel_new(struct loop *l, int fd, const struct edge *edge, enum edge_end end,
    const struct handler *handlers, channel_closed_fn *closed, void *ctx)
{
	struct channel *ch = xcalloc(1, sizeof(*ch));

	assert(edge->nrows <= ROWS_MAX);
	ch->loop = l;
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
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	ch->watch = loop_fd_new(l, fd, on_ready, ch);
	want(ch);
	queue_hello(ch);
	return ch;
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
		take_bytes(ch, (struct str){ NULL, 0 });
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
