#include "lib/net/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/net/stream_layer.h"

enum {
	READ_SIZE = 65536,    /* bytes one read may bring */
	UNREAD_MAX = 4 << 20, /* an owner that consumes nothing must pause */
	OUT_MAX = 1 << 30     /* owners look at stream_unsent long before */
};

/* The layer's. */
enum phase {
	CLEAR,   /* there is none */
	LEAVING, /* what was written before it leaves */
	SHAKING, /* its handshake */
	SECURED,
	SPOILED /* it failed: nothing comes or goes any more */
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
	const struct stream_layer *layer;
	struct tls *tls; /* owned, with layer */
	size_t clear;    /* LEAVING: bytes of out that leave in the clear */
	int fd;
	int error;      /* for the deferred end */
	uint8_t phase;  /* enum phase */
	uint8_t shakes; /* SHAKING: enum tls_want */
	bool connecting, paused, ended, closed, tell_drained, peek, wipe;
	bool read_writes; /* reading waits until the socket can be written */
	bool write_reads; /* and the other way round */
};

/* Every process has one: input lies here while it is looked at. */
static char room[READ_SIZE];

/* Bytes that may leave now. */
static size_t
sendable(const struct stream *s)
{
	switch ((enum phase)s->phase) {
	case LEAVING:
		return s->clear;
	case SHAKING:
	case SPOILED:
		return 0;
	case CLEAR:
	case SECURED:
		break;
	}
	return s->out.len;
}

static int
wanted(const struct stream *s)
{
	bool read = !s->paused && !s->ended, write = sendable(s) > 0;

	if (s->connecting)
		return LOOP_WRITE;
	if (s->phase == SHAKING)
		return s->shakes == TLS_READ  ? LOOP_READ :
		       s->shakes == TLS_WRITE ? LOOP_WRITE :
						0;
	if (s->phase == LEAVING || s->phase == SPOILED)
		read = false;
	if (read && s->read_writes)
		write = true;
	else if (write && s->write_reads)
		read = true;
	return (read ? LOOP_READ : 0) | (write ? LOOP_WRITE : 0);
}

static void
want(struct stream *s)
{
	if (s->watch != NULL)
		loop_fd_want(s->watch, wanted(s));
}

static void
on_end(void *arg)
{
	struct stream *s = arg;

	/* First what came before it, when the owner has just asked for that. */
	if (s->again.queued && s->error == 0)
		loop_after(s->loop, &s->end);
	else if (!s->closed)
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

/* The owner has asked for it: what it consumed is nowhere here any more. */
static void
wipe_seen(struct stream *s, struct buf *kept, struct str fresh, size_t used)
{
	if (!s->wipe)
		return;
	s->wipe = false;
	kept->secret = true;
	explicit_bzero(room, kept->len > 0 ? fresh.len : used);
}

/* Shows the owner all there is; keeps what it leaves, but not when TLS begins
 * there. The bytes belong to this function meanwhile: the owner may close the
 * stream. */
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
	uint8_t phase = s->phase;
	size_t used = s->ops->on_data(s->ctx, all);
	wipe_seen(s, &kept, fresh, used);
	if (s->closed || s->phase != phase) {
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

/* As tls_read. */
static enum tls_want
get(struct stream *s, void *p, size_t size, size_t *n)
{
	ssize_t r;

	*n = 0;
	if (s->phase == SECURED)
		return s->layer->read(s->tls, p, size, n);
	r = recv(s->fd, p, size, s->peek ? MSG_PEEK : 0);
	if (r > 0)
		*n = (size_t)r;
	else if (r < 0)
		return errno == EAGAIN || errno == EINTR ? TLS_READ :
							   TLS_FAILED;
	return r > 0 ? TLS_DONE : TLS_END;
}

/* What the owner did not consume stays in the kernel. */
static void
show_peeked(struct stream *s, size_t n)
{
	size_t used = s->ops->on_data(s->ctx, (struct str){ room, n });

	if (!s->closed && used > 0)
		recv(s->fd, room, used, 0);
}

/* TLS brings one record at a time, and room is larger than any: nothing that
 * nobody knows of stays behind in it. */
static void
read_some(struct stream *s)
{
	enum tls_want w;
	size_t n;

	if (s->in.len > UNREAD_MAX) {
		stream_ended(s, EMSGSIZE);
		return;
	}
	errno = 0;
	w = get(s, room, sizeof(room), &n);
	s->read_writes = w == TLS_WRITE;
	if (w == TLS_DONE && s->peek)
		show_peeked(s, n);
	else if (w == TLS_DONE)
		show(s, (struct str){ room, n });
	else if (w == TLS_END)
		stream_ended(s, 0);
	else if (w == TLS_FAILED)
		stream_ended(s, s->phase == SECURED ? EPROTO : errno);
	else
		want(s);
}

/* --- the handshake --- */

static void
shake(struct stream *s)
{
	struct fault why;

	if (s->closed || s->phase != SHAKING)
		return;
	s->shakes = (uint8_t)s->layer->handshake(s->tls);
	switch ((enum tls_want)s->shakes) {
	case TLS_READ:
	case TLS_WRITE:
	case TLS_ASYNC:
		want(s);
		break;
	case TLS_DONE:
		s->phase = SECURED;
		want(s);
		loop_after(s->loop, &s->flush);
		s->ops->on_secure(s->ctx, NULL);
		break;
	case TLS_END:
	case TLS_FAILED:
		fault_set(&why, FAULT_PEER, "%s", s->layer->error(s->tls));
		s->phase = SPOILED;
		buf_clear(&s->out);
		want(s);
		s->ops->on_secure(s->ctx, &why);
		break;
	}
}

/* The answer that the handshake waited for is there. */
static void
on_job(void *arg)
{
	struct stream *s = arg;

	if (!s->closed)
		loop_after(s->loop, &s->flush);
}

/* --- out --- */

/* As tls_write. */
static enum tls_want
put(struct stream *s, const char *p, size_t len, size_t *n)
{
	ssize_t r;

	*n = 0;
	if (s->phase == SECURED)
		return s->layer->write(s->tls, p, len, n);
	do
		r = send(s->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EAGAIN ? TLS_WRITE : TLS_FAILED;
	*n = (size_t)r;
	return TLS_DONE;
}

static enum tls_want
send_some(struct stream *s)
{
	size_t done = 0, len = sendable(s), n;
	enum tls_want w = TLS_DONE;

	while (done < len && w == TLS_DONE) {
		w = put(s, s->out.p + done, len - done, &n);
		done += n;
	}
	s->write_reads = w == TLS_READ;
	if (s->phase == LEAVING)
		s->clear -= done;
	if (done < s->out.len)
		buf_drop(&s->out, done);
	else
		buf_clear(&s->out);
	return w;
}

/* Who stopped reading because of all that output waits to hear. */
static void
tell_drained(struct stream *s)
{
	if (s->out.len > 0 || !(s->tell_drained || s->paused) || s->closed)
		return;
	s->tell_drained = false;
	if (s->ops->on_drained != NULL)
		s->ops->on_drained(s->ctx);
}

static void
on_flush(void *arg)
{
	struct stream *s = arg;

	if (s->connecting || s->fd < 0)
		return;
	errno = 0;
	if (send_some(s) == TLS_FAILED) {
		stream_ended(s, s->phase == SECURED ? EPROTO : errno);
		return;
	}
	if (s->phase == LEAVING && s->clear == 0 && !s->closed) {
		s->phase = SHAKING;
		s->layer->attach(s->tls, s->fd, on_job, s);
	}
	if (s->phase == SHAKING) {
		shake(s);
		return;
	}
	if (s->out.len > 0)
		s->tell_drained = true;
	want(s);
	tell_drained(s);
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
	bool write = (what & LOOP_WRITE) != 0, read = (what & LOOP_READ) != 0;

	if (s->phase == SHAKING) {
		shake(s);
		return;
	}
	if (s->connecting) {
		if (write)
			on_connected(s);
		return;
	}
	if (write || s->write_reads)
		on_flush(s);
	if ((read || s->read_writes) && !s->closed && !s->ended && !s->paused)
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
	if (s->layer != NULL)
		s->layer->free(&s->tls);
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
	/* A peer that ended may still read (a failed one has no output). */
	if (s->out.len > 0)
		on_flush(s);
	if (s->phase == SECURED)
		s->layer->shutdown(s->tls);
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
stream_finish(struct stream *s)
{
	if (s->phase == SECURED)
		s->layer->shutdown(s->tls);
	shutdown(s->fd, SHUT_WR);
}

void
stream_write(struct stream *s, const void *p, size_t len)
{
	if ((s->ended && s->error != 0) || s->phase == SPOILED)
		return;
	buf_add(&s->out, p, len);
	loop_after(s->loop, &s->flush);
}

void
stream_write_secret(struct stream *s, struct str secret)
{
	s->out.secret = true;
	stream_write(s, secret.p, secret.len);
}

size_t
stream_unsent(const struct stream *s)
{
	return s->out.len;
}

void
stream_wipe(struct stream *s)
{
	s->wipe = true;
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

void
stream_peek(struct stream *s, bool on)
{
	s->peek = on;
}

int
stream_fd(const struct stream *s)
{
	return s->fd;
}

/* --- TLS --- */

void
stream_start_layer(
    struct stream *s, const struct stream_layer *layer, struct tls *t)
{
	int on = 1;

	/* The ticket goes alone, and what comes behind it would wait until the
	 * peer has acknowledged that. (We gather what we write ourselves.) */
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	buf_clear(&s->in);
	s->peek = false;
	s->layer = layer;
	s->tls = t;
	s->phase = LEAVING;
	s->clear = s->out.len;
	want(s);
	loop_after(s->loop, &s->flush);
}

const struct tls *
stream_tls(const struct stream *s)
{
	return s->phase == SECURED ? s->tls : NULL;
}

const struct tls *
stream_failed_tls(const struct stream *s)
{
	return s->phase == SPOILED ? s->tls : NULL;
}
