/*
 * The mail's content on its way out: pieces of 64 KiB through the dot
 * writer, the next one when the one before has left.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "delivery/smtp_client.h"

enum { PIECE = 65536 };

static void
out(void *ctx, const char *p, size_t len)
{
	struct conn *c = ctx;

	stream_write(c->stream, p, len);
}

/* The next bytes of the mail: from memory, then from its file. *n is 0 at
 * the end. 0, or -1 with errno. */
static int
next_piece(const struct conn *c, const char **p, size_t *n)
{
	static char room[PIECE];
	const struct work *w = c->work;
	uint64_t at, left;
	ssize_t got;

	*p = "";
	*n = 0;
	if (c->sent < w->inline_size) {
		*p = w->content + c->sent;
		*n = w->inline_size - (size_t)c->sent;
		if (*n > PIECE)
			*n = PIECE;
		return 0;
	}
	at = c->sent - w->inline_size;
	left = w->body_size - at;
	if (left == 0)
		return 0;
	do
		got = pread(w->file, room, left < PIECE ? (size_t)left : PIECE,
		    (off_t)at);
	while (got == -1 && errno == EINTR);
	if (got > 0) {
		*p = room;
		*n = (size_t)got;
		return 0;
	}
	if (got == 0)
		errno = EIO; /* shorter than we were told */
	return -1;
}

static void
on_breath(void *ctx)
{
	body_go_on(ctx);
}

void
body_go_on(struct conn *c)
{
	const char *p;
	size_t n;

	if (c->stream == NULL || c->hearing != STATE_BODY ||
	    stream_unsent(c->stream) > 0)
		return;
	if (next_piece(c, &p, &n) == -1) {
		client_body_failed(c, strerror(errno));
		return;
	}
	dot_writer_feed(&c->dot, (struct str){ p, n }, out, c);
	c->sent += n;
	if (c->sent == work_size(c->work)) {
		dot_writer_end(&c->dot, out, c);
		client_body_written(c);
		return;
	}
	stream_deadline(c->stream, c->numbers.data_block_timeout);
	/* When the piece leaves at once nobody says so; others get their
	 * turn before the next one. */
	if (c->breath == NULL)
		c->breath = timer_new(c->loop, on_breath, c);
	timer_set(c->breath, 0);
}

void
say_body(struct conn *c)
{
	c->sent = 0;
	dot_writer_init(&c->dot);
	body_go_on(c);
}
