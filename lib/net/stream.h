/*
 * A connected socket in the loop: bytes in, bytes out, one deadline.
 *
 * Reading goes into a buffer shared by the whole process; only what the
 * owner did not consume is kept by the stream, so an idle stream holds no
 * buffer at all. Writing gathers and leaves at the end of the round.
 */
#ifndef POSTERN_NET_STREAM_H
#define POSTERN_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fault.h"
#include "lib/base/loop.h"
#include "lib/base/str.h"

struct stream;
struct tls;

/* Called from the loop, never from inside a stream_ call. Each may call
 * stream_close. */
struct stream_ops {
	/* in: all unread bytes. Returns how many were consumed; the rest comes
	 * again, with more behind it, when more arrives (or after
	 * stream_resume). */
	size_t (*on_data)(void *ctx, struct str in);
	/* All that was written has left (after it had not at once, or while
	 * reading is paused); and once when a connecting socket is connected.
	 * May be NULL. */
	void (*on_drained)(void *ctx);
	/* The deadline passed. */
	void (*on_timeout)(void *ctx);
	/* The peer closed its side (error 0) or the connection failed (errno).
	 * Unconsumed input is lost, but what the owner has asked for again by
	 * stream_resume comes before its end. Called at most once. */
	void (*on_end)(void *ctx, int error);
	/* stream_start_tls has ended: the connection is secured (why NULL), or
	 * it cannot be, and is only good for being closed. NULL when TLS is
	 * never started. */
	void (*on_secure)(void *ctx, const struct fault *why);
};

/* Takes fd (non-blocking, connected or with connecting true still on its
 * way). Reads until told otherwise. */
struct stream *stream_new(struct loop *l, int fd, bool connecting,
    const struct stream_ops *ops, void *ctx);
/* Closes the socket and frees after the round; no callback comes any more.
 * What was written and has not left is tried once more first. Clears the
 * pointer. */
void stream_close(struct stream **p);
/* The same with a reset instead of an orderly end (SO_LINGER 0). */
void stream_reset(struct stream **p);

/* Copies len bytes to the output; they leave at the end of the round. */
void stream_write(struct stream *s, const void *p, size_t len);
/* The same of a secret: wiped here once it has left. */
void stream_write_secret(struct stream *s, struct str secret);
/* Nothing more will be written, and nothing is left to leave: says so to the
 * peer, which may still be read. */
void stream_finish(struct stream *s);
/* Bytes written that have not left yet. */
size_t stream_unsent(const struct stream *s);
/* What on_data, which is on the stack, consumes is a secret: wiped behind it.
 */
void stream_wipe(struct stream *s);
/* Stop reading; kept and coming bytes wait (the kernel's window fills). */
void stream_pause(struct stream *s);
/* Read on; unconsumed bytes come again this round. */
void stream_resume(struct stream *s);
bool stream_is_paused(const struct stream *s);
/* on_timeout in ms from now; replaces the one before; 0: none. Cheap. */
void stream_deadline(struct stream *s, uint64_t ms);
/* Bytes that came in and were not consumed. */
size_t stream_unread(const struct stream *s);
/* From the first byte on: what on_data does not consume stays in the kernel,
 * for whoever reads next. Each call must consume something, or pause. */
void stream_peek(struct stream *s, bool on);
int stream_fd(const struct stream *s);

/* --- TLS --- */

/* What was written before leaves in the clear; from then on all that comes and
 * goes is of t (taken). Until on_secure nothing is read and what is written
 * waits. The owner has made sure that nothing unread is left; what there is
 * all the same is thrown away, never seen as if it had come by TLS. */
void stream_start_tls(struct stream *s, struct tls *t);
/* The connection's TLS, NULL: in the clear, or not secured yet. */
const struct tls *stream_tls(const struct stream *s);
/* The TLS of one that could not be secured, as on_secure had it; else NULL. */
const struct tls *stream_failed_tls(const struct stream *s);

#endif
