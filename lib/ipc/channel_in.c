/* What the peer says: bytes, frames, messages, and to whom each goes. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/ipc/channel_inside.h"

static uint8_t
inward(const struct channel *ch)
{
	return ch->end == EDGE_A ? EDGE_B_TO_A : EDGE_A_TO_B;
}

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

/* An answer came. */
static int
take_pending(struct channel *ch, uint64_t id, answer_fn **fn, void **ctx)
{
	int rc = pending_take(&ch->pending, id, fn, ctx);

	if (ch->quiet != NULL && ch->pending.count == 0)
		loop_after(ch->loop, &ch->calm);
	return rc;
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
	if (take_pending(ch, id, &fn, &ctx) != 0) {
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
	    take_pending(ch, id, &fn, &ctx) != 0)
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

	ch->totals->received++;
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
	channel_wipe(ch, b->p, b->len);
	buf_clear(b);
	*b = longer;
}

/* What is being handled belongs to this function: a handler may free the
 * channel. */
void
channel_take(struct channel *ch, struct str s)
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
	channel_wipe(ch, kept.p, kept.len);
	buf_clear(&kept);
}

void
channel_read(struct channel *ch)
{
	static char room[READ_SIZE];
	const char *why;

	for (int i = 0; i < READS_A_ROUND && ch->fd >= 0 && !ch->paused; i++) {
		ch->totals->receive_calls++;
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
		channel_take(ch, (struct str){ room, (size_t)n });
		channel_wipe(ch, room, (size_t)n);
		if ((size_t)n < sizeof(room) && !inbox_has_fd(&ch->in))
			return; /* most likely all there was */
	}
}
