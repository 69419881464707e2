/*
 * The mail's content on its way out: as one chunk when it is short, else
 * pieces of 64 KiB through the dot writer, the next one when the one before
 * has left. For a next hop without 8BITMIME it is made 7 bits before.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "delivery/downgrade.h"
#include "delivery/smtp_client.h"

enum { PIECE = 65536 };

static void
out(void *ctx, const char *p, size_t len)
{
	struct conn *c = ctx;

	stream_write(c->stream, p, len);
}

static void
to_dots(void *ctx, const char *p, size_t len)
{
	struct conn *c = ctx;

	dot_writer_feed(&c->dot, (struct str){ p, len }, out, c);
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

static void
body_end(struct conn *c)
{
	if (c->downgrade != NULL)
		downgrade_end(c->downgrade, to_dots, c);
	downgrade_free(&c->downgrade);
	dot_writer_end(&c->dot, out, c);
	client_body_written(c);
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
	if (c->downgrade != NULL)
		downgrade_feed(c->downgrade, (struct str){ p, n }, to_dots, c);
	else
		to_dots(c, p, n);
	c->sent += n;
	if (c->sent == work_size(c->work)) {
		body_end(c);
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
	downgrade_free(&c->downgrade);
	if (c->to_7bit)
		c->downgrade = downgrade_new();
	body_go_on(c);
}

/* --- chunks (RFC 3030) --- */

/* Whole lines, and no CR, LF or NUL beside their ends: what the dot writer
 * would make of others cannot be known beforehand. */
static bool
is_canonical(const char *p, size_t len)
{
	const char *end = p + len;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		if (nl == NULL || nl == p || nl[-1] != '\r' ||
		    memchr(p, '\r', (size_t)(nl - 1 - p)) != NULL ||
		    memchr(p, '\0', (size_t)(nl - p)) != NULL)
			return false;
		p = nl + 1;
	}
	return len > 0;
}

/* Of a longer one the round trip is a small part, and it would be sent in
 * vain if nobody is taken. */
bool
body_fits_chunk(const struct work *w)
{
	return w->body_size == 0 && w->inline_size <= PIECE &&
	       is_canonical(w->content, w->inline_size);
}

void
say_bdat(struct conn *c)
{
	const struct work *w = c->work;
	char text[40];
	int n =
	    snprintf(text, sizeof(text), "BDAT %zu LAST\r\n", w->inline_size);

	stream_write(c->stream, text, (size_t)n);
	stream_write(c->stream, w->content, w->inline_size);
	c->chunk_said = true;
}
