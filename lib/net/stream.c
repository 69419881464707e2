#include "lib/net/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"

enum {
	READ_SIZE = 65536,    /* bytes one read may bring */
	UNREAD_MAX = 4 << 20, /* an owner that consumes nothing must pause */
	OUT_MAX = 1 << 30     /* owners look at stream_unsent long before */
};

struct stream {
	struct loop *loop;
	struct loop_fd *watch;
	struct timer *timer; /* made with the first deadline */
	const struct stream_ops *ops;
	void *ctx;
	struct buf in;  /* what the owner did not consume */
	struct buf out; /* what has not left */
	struct deferred flush, again, end, release;
	int fd;
	int error; /* for the deferred end */
	bool connecting, paused, ended, closed, tell_drained;
};

/* Every process has one: input lies here while it is looked at. */
static char room[READ_SIZE];

static void
want(struct stream *s)
{
	if (s->watch == NULL)
		return;
	bool write = s->connecting || s->out.len > 0;
	bool read = !s->connecting && !s->paused && !s->ended;

	loop_fd_want(
	    s->watch, (read ? LOOP_READ : 0) | (write ? LOOP_WRITE : 0));
}

static void
on_end(void *arg)
{
	struct stream *s = arg;

	if (!s->closed)
		s->ops->on_end(s->ctx, s->error);
}

/* The connection is over; the owner hears of it once, after the round. */
static void
stream_ended(struct stream *s, int error)
{
	/* An error may follow the peer's own end: then nothing can be sent any
	 * more, and to try it again and again would spin. */
	if (error != 0) {
		buf_clear(&s->out);
		s->error = error;
	}
	if (!s->ended)
		loop_after(s->loop, &s->end);
	s->ended = true;
	want(s);
}

/* --- in --- */

/* Shows the owner all there is; keeps what it leaves. The bytes belong to
 * this function meanwhile: the owner may close the stream. */
static void
show(struct stream *s, struct str fresh)
{
	struct buf kept = s->in;
	struct str all = fresh;

	buf_init(&s->in, UNREAD_MAX + READ_SIZE);
	if (kept.len > 0) {
		buf_add_str(&kept, fresh);
		all = buf_str(&kept);
	}
	size_t used = s->ops->on_data(s->ctx, all);
	if (s->closed) {
		buf_clear(&kept);
		return;
	}
	if (used == 0 && kept.len > 0) {
		s->in = kept; /* nothing to copy */
		return;
	}
	buf_add_str(&s->in, str_skip(all, used));
	buf_clear(&kept);
}

static void
on_again(void *arg)
{
	struct stream *s = arg;

	if (!s->closed && !s->paused && s->in.len > 0)
		show(s, (struct str){ NULL, 0 });
}

static void
read_some(struct stream *s)
{
	if (s->in.len > UNREAD_MAX) {
		stream_ended(s, EMSGSIZE);
		return;
	}
	ssize_t n = recv(s->fd, room, sizeof(room), 0);
	if (n > 0)
		show(s, (struct str){ room, (size_t)n });
	else if (n == 0)
		stream_ended(s, 0);
	else if (errno != EAGAIN && errno != EINTR)
		stream_ended(s, errno);
}

/* --- out --- */

static void
on_flush(void *arg)
{
	struct stream *s = arg;
	size_t done = 0;

	if (s->connecting || s->fd < 0)
		return;
	while (done < s->out.len) {
		ssize_t n = send(s->fd, s->out.p + done, s->out.len - done,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			done += (size_t)n;
		} else if (n < 0 && errno != EINTR) {
			if (errno != EAGAIN) {
				stream_ended(s, errno);
				return;
			}
			break;
		}
	}
	if (done < s->out.len) {
		buf_drop(&s->out, done);
		s->tell_drained = true;
	} else {
		buf_clear(&s->out);
	}
	want(s);
	/* Who stopped reading because of all that output waits to hear. */
	if (s->out.len == 0 && (s->tell_drained || s->paused) && !s->closed) {
		s->tell_drained = false;
		if (s->ops->on_drained != NULL)
			s->ops->on_drained(s->ctx);
	}
}

static void
on_connected(struct stream *s)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	s->connecting = false;
	if (error != 0) {
		stream_ended(s, error);
		return;
	}
	s->tell_drained = true;
	on_flush(s);
}

static void
on_ready(void *arg, int what)
{
	struct stream *s = arg;

	if ((what & LOOP_WRITE) != 0) {
		if (s->connecting)
			on_connected(s);
		else
			on_flush(s);
	}
	if ((what & LOOP_READ) != 0 && !s->closed && !s->ended && !s->paused)
		read_some(s);
}

static void
on_timer(void *arg)
{
	struct stream *s = arg;

	if (!s->closed)
		s->ops->on_timeout(s->ctx);
}

/* --- life --- */

static void
on_release(void *arg)
{
	struct stream *s = arg;

	free(s);
}

struct stream *
stream_new(struct loop *l, int fd, bool connecting,
    const struct stream_ops *ops, void *ctx)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	s->fd = fd;
	s->connecting = connecting;
	s->ops = ops;
	s->ctx = ctx;
	buf_init(&s->in, UNREAD_MAX + READ_SIZE);
	buf_init(&s->out, OUT_MAX);
	deferred_init(&s->flush, on_flush, s);
	deferred_init(&s->again, on_again, s);
	deferred_init(&s->end, on_end, s);
	deferred_init(&s->release, on_release, s);
	s->watch = loop_fd_new(l, fd, on_ready, s);
	want(s);
	return s;
}

static void
close_now(struct stream **p)
{
	struct stream *s = *p;

	*p = NULL;
	s->closed = true;
	loop_fd_free(&s->watch);
	timer_free(&s->timer);
	close(s->fd);
	s->fd = -1;
	buf_clear(&s->in);
	buf_clear(&s->out);
	loop_after_cancel(s->loop, &s->flush);
	loop_after_cancel(s->loop, &s->again);
	loop_after_cancel(s->loop, &s->end);
	loop_after(s->loop, &s->release);
}

void
stream_close(struct stream **p)
{
	struct stream *s = *p;

	if (s == NULL)
		return;
	s->closed = true; /* no callback from this last try */
	/* A peer that ended its own side may still read (a failed connection
	 * has no output left). */
	if (s->out.len > 0)
		on_flush(s);
	close_now(p);
}

void
stream_reset(struct stream **p)
{
	struct linger off = { .l_onoff = 1, .l_linger = 0 };

	if (*p == NULL)
		return;
	setsockopt((*p)->fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	close_now(p);
}

void
stream_write(struct stream *s, const void *p, size_t len)
{
	if (s->ended && s->error != 0)
		return;
	buf_add(&s->out, p, len);
	loop_after(s->loop, &s->flush);
}

size_t
stream_unsent(const struct stream *s)
{
	return s->out.len;
}

void
stream_pause(struct stream *s)
{
	s->paused = true;
	want(s);
}

void
stream_resume(struct stream *s)
{
	if (s->paused) {
		s->paused = false;
		want(s);
	}
	loop_after(s->loop, &s->again);
}

bool
stream_is_paused(const struct stream *s)
{
	return s->paused;
}

void
stream_deadline(struct stream *s, uint64_t ms)
{
	if (ms == 0) {
		if (s->timer != NULL)
			timer_stop(s->timer);
		return;
	}
	if (s->timer == NULL)
		s->timer = timer_new(s->loop, on_timer, s);
	timer_set(s->timer, ms);
}

size_t
stream_unread(const struct stream *s)
{
	return s->in.len;
}

int
stream_fd(const struct stream *s)
{
	return s->fd;
}
