/*
 * The one line splitter for commands and the one reader and writer of DATA
 * content. What ends a line is CR LF and nothing else; what ends content is
 * CR LF . CR LF and nothing else (the first CR LF may be the one that ended
 * the DATA command), or mail could be smuggled behind mail.
 */
#include "lib/net/line.h"

#include <string.h>

enum line_result
line_next(struct str in, size_t max, struct str *line, size_t *used)
{
	size_t len = in.len < max ? in.len : max;
	const char *lf, *cr;
	size_t end;

	*used = 0;
	if (len == 0)
		return max == 0 ? LINE_LONG : LINE_MORE;
	lf = memchr(in.p, '\n', len);
	end = lf != NULL ? (size_t)(lf - in.p) : len;
	if (memchr(in.p, '\0', end) != NULL)
		goto bare;
	cr = memchr(in.p, '\r', end);
	if (lf != NULL) {
		/* The first CR must be the one before the LF. */
		if (cr == NULL || cr + 1 != lf)
			goto bare;
		*line = str_head(in, end - 1);
		*used = end + 1;
		return LINE_OK;
	}
	/* A CR may be the last byte there is: its LF may still come. */
	if (cr != NULL && cr + 1 != in.p + len)
		goto bare;
	if (in.len < max)
		return LINE_MORE;
	*used = max;
	return LINE_LONG;
bare:
	*used = in.len;
	return LINE_BARE;
}

typedef void out_fn(void *ctx, const char *p, size_t len);

void
dot_reader_init(struct dot_reader *d, bool normalize)
{
	*d = (struct dot_reader){ .state = DOT_BOL, .normalize = normalize };
}

void
chunk_reader_init(struct dot_reader *d, bool normalize)
{
	*d = (struct dot_reader){
		.state = DOT_BOL, .normalize = normalize, .chunks = true
	};
}

static void
line_ended(struct dot_reader *d)
{
	if (d->line_len > d->longest)
		d->longest = d->line_len;
	d->line_len = 0;
}

/* A CR was held back and no LF came. */
static void
bare_cr(struct dot_reader *d, out_fn *out, void *ctx)
{
	d->bare = true;
	if (d->normalize) {
		line_ended(d);
		out(ctx, "\r\n", 2);
	} else {
		d->line_len++;
		out(ctx, "\r", 1);
	}
	/* Not DOT_BOL: a dot here stands at no beginning of a line. */
	d->state = DOT_TEXT;
}

/* The next c from p on, or end. */
static const char *
find_or_end(const char *p, const char *end, char c)
{
	const char *hit = memchr(p, c, (size_t)(end - p));

	return hit != NULL ? hit : end;
}

/* Does a line that begins so need a closer look? */
static bool
may_end(const struct dot_reader *d, char c)
{
	return c == '.' && !d->chunks;
}

/* Bytes of the present line, and whatever whole lines follow that do not
 * begin with a dot: one piece for out, as long as it goes. Returns the bytes
 * consumed. */
static size_t
text_run(struct dot_reader *d, struct str in, out_fn *out, void *ctx)
{
	const char *p = in.p, *end = in.p + in.len, *start = in.p;
	const char *lf = NULL; /* the next LF from p on, or end */

	while (p < end) {
		size_t left = (size_t)(end - p);

		if (lf == NULL || lf < p)
			lf = find_or_end(p, end, '\n');
		const char *cr = memchr(p, '\r', (size_t)(lf - p));
		/* A bare LF, or a bare CR. */
		const char *bad = cr == NULL && lf < end ? lf :
				  cr != NULL && cr + 1 < end && cr + 1 != lf ?
							   cr :
							   NULL;

		if (bad != NULL) {
			d->bare = true;
			d->line_len += (size_t)(bad - p);
			if (d->normalize) {
				out(ctx, start, (size_t)(bad - start));
				out(ctx, "\r\n", 2);
				start = bad + 1;
				line_ended(d);
			} else
				d->line_len++;
			p = bad + 1;
			continue;
		}
		if (cr == NULL) {
			d->line_len += left;
			p = end;
			break;
		}
		d->line_len += (size_t)(cr - p);
		if (cr + 1 == end) {
			/* Its LF may come: held back till then. */
			out(ctx, start, (size_t)(cr - start));
			d->state = DOT_CR;
			return in.len;
		}
		line_ended(d);
		p = cr + 2;
		if (p == end || may_end(d, *p)) {
			d->state = DOT_BOL;
			break;
		}
	}
	if (p > start)
		out(ctx, start, (size_t)(p - start));
	return (size_t)(p - in.p);
}

/* One byte, or a run of text. Returns the bytes consumed. */
static size_t
dot_step(struct dot_reader *d, struct str in, out_fn *out, void *ctx, bool *end)
{
	char c = in.p[0];

	switch (d->state) {
	case DOT_BOL:
		d->state = may_end(d, c) ? DOT_DOT : DOT_TEXT;
		return d->state == DOT_DOT ? 1 : 0;
	case DOT_DOT:
		d->state = c == '\r' ? DOT_DOT_CR : DOT_TEXT;
		return c == '\r' ? 1 : 0;
	case DOT_DOT_CR:
		if (c == '\n') {
			*end = true;
			return 1;
		}
		bare_cr(d, out, ctx);
		return 0;
	case DOT_CR:
		if (c == '\n') {
			line_ended(d);
			out(ctx, "\r\n", 2);
			d->state = DOT_BOL;
			return 1;
		}
		bare_cr(d, out, ctx);
		return 0;
	case DOT_TEXT:
		break;
	}
	return text_run(d, in, out, ctx);
}

size_t
dot_reader_feed(struct dot_reader *d, struct str in,
    void (*out)(void *ctx, const char *p, size_t len), void *ctx, bool *end)
{
	size_t used = 0;

	*end = false;
	while (used < in.len && !*end)
		used += dot_step(d, str_skip(in, used), out, ctx, end);
	if (d->line_len > d->longest)
		d->longest = d->line_len;
	if (!d->nul && used > 0 && memchr(in.p, '\0', used) != NULL)
		d->nul = d->bare = true;
	return used;
}

void
chunk_reader_end(struct dot_reader *d,
    void (*out)(void *ctx, const char *p, size_t len), void *ctx)
{
	if (d->state == DOT_CR)
		bare_cr(d, out, ctx);
	if (d->line_len > 0) {
		line_ended(d);
		out(ctx, "\r\n", 2);
	}
	d->state = DOT_BOL;
}

void
dot_writer_init(struct dot_writer *d)
{
	d->state = DOT_BOL;
}

/* The CR that was held back: CRLF now, whatever follows. */
static void
writer_newline(struct dot_writer *d, out_fn *out, void *ctx)
{
	out(ctx, "\r\n", 2);
	d->state = DOT_BOL;
}

/* Bytes from p on up to the first CR, LF or NUL; *lf is the next LF, kept
 * from call to call so that no byte is searched twice. */
static size_t
plain_len(const char *p, const char *end, const char **lf)
{
	const char *stop;

	if (*lf == NULL || *lf < p)
		*lf = find_or_end(p, end, '\n');
	stop = find_or_end(p, *lf, '\r');
	return (size_t)(find_or_end(p, stop, '\0') - p);
}

/* The first byte behind a piece that ended with a CR. Returns the bytes
 * consumed. */
static size_t
after_cr(struct dot_writer *d, char c, size_t *changed, out_fn *out, void *ctx)
{
	writer_newline(d, out, ctx);
	if (c == '\n')
		return 1;
	++*changed;
	return 0;
}

/* A CR, LF or NUL at p that is no CRLF within the piece. */
static void
write_odd(struct dot_writer *d, const char *p, const char *end, size_t *changed,
    out_fn *out, void *ctx)
{
	if (*p == '\r' && p + 1 == end) {
		d->state = DOT_CR; /* its LF may come */
		return;
	}
	++*changed;
	if (*p != '\0')
		writer_newline(d, out, ctx);
}

size_t
dot_writer_feed(struct dot_writer *d, struct str in,
    void (*out)(void *ctx, const char *p, size_t len), void *ctx)
{
	if (in.len == 0)
		return 0;
	const char *p = in.p, *end = in.p + in.len, *lf = NULL;
	size_t changed = 0;

	if (d->state == DOT_CR)
		p += after_cr(d, *p, &changed, out, ctx);
	/* Everything in [start, p) is fit to leave as it is. */
	const char *start = p;

	while (p < end) {
		if (d->state == DOT_BOL && *p == '.') {
			out(ctx, start, (size_t)(p - start));
			out(ctx, ".", 1);
			start = p;
		}
		size_t n = plain_len(p, end, &lf);

		if (n > 0)
			d->state = DOT_TEXT;
		p += n;
		if (p == end)
			break;
		if (*p == '\r' && p + 1 < end && p[1] == '\n') {
			p += 2;
			d->state = DOT_BOL;
			continue;
		}
		out(ctx, start, (size_t)(p - start));
		write_odd(d, p, end, &changed, out, ctx);
		start = ++p;
	}
	out(ctx, start, (size_t)(p - start));
	return changed;
}

void
dot_writer_end(struct dot_writer *d,
    void (*out)(void *ctx, const char *p, size_t len), void *ctx)
{
	if (d->state != DOT_BOL)
		writer_newline(d, out, ctx);
	out(ctx, ".\r\n", 3);
}
