/* Message content, looked at once. */
#include "smtpd/body.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

struct body *
body_new(const struct limits *limits, uint64_t max_size, bool normalize,
    content_fn *on_file, void *ctx)
{
	struct body *b = xcalloc(1, sizeof(*b));

	dot_reader_init(&b->dot, normalize);
	header_scan_init(&b->head);
	content_init(&b->content, max_size, on_file, ctx);
	b->limits = limits;
	b->max_size = max_size;
	b->normalize = normalize;
	b->begin_ms = clock_mono_ms();
	return b;
}

void
body_free(struct body **b)
{
	if (*b == NULL)
		return;
	content_clear(&(*b)->content);
	free((*b)->header);
	free(*b);
	*b = NULL;
}

void
body_fail(struct body *b, enum body_fault fault)
{
	/* A bare CR or LF ends the session: it outranks the others. */
	if (b->fault != BODY_FINE && fault != BODY_BARE)
		return;
	b->fault = fault;
	content_clear(&b->content);
}

static const enum body_fault faults[] = {
	[CONTENT_FINE] = BODY_FINE,
	[CONTENT_TOO_BIG] = BODY_TOO_BIG,
	[CONTENT_NO_SPACE] = BODY_NO_SPACE,
	[CONTENT_NO_FILE] = BODY_NO_FILE,
};

void
body_check(struct body *b)
{
	if (b->content.fault != CONTENT_FINE)
		body_fail(b, faults[b->content.fault]);
}

/* The header block has grown, or ended. */
static void
check_header(struct body *b)
{
	const struct limits *l = b->limits;

	/* A line that has not ended may be of the body yet; it has a limit of
	 * its own. */
	if (b->head.size > l->header_size)
		body_fail(b, BODY_HEADER_SIZE);
	else if (b->head.longest > l->header_field)
		body_fail(b, BODY_HEADER_FIELD);
	else if (b->head.nfields > l->header_fields)
		body_fail(b, BODY_HEADER_COUNT);
	else if (b->head.nreceived > l->hops)
		body_fail(b, BODY_HOPS);
}

/* A piece of content, dots undone. */
static void
take(void *ctx, const char *p, size_t len)
{
	struct body *b = ctx;

	b->size += len;
	if (b->fault != BODY_FINE)
		return;
	if (b->size > b->max_size) {
		body_fail(b, BODY_TOO_BIG);
		return;
	}
	content_put(&b->content, p, len);
	body_check(b);
}

static void
check_lines(struct body *b)
{
	if (b->dot.nul || (b->dot.bare && !b->normalize))
		body_fail(b, BODY_BARE);
	if (b->dot.longest > b->limits->text_line)
		body_fail(b, BODY_LINE);
}

/* What has come in may be of the header block. */
static void
scan_header(struct body *b)
{
	if (b->fault != BODY_FINE || b->head.done)
		return;
	header_scan_feed(&b->head, buf_str(&b->content.bytes), b->ended);
	b->content.held = b->head.size;
	check_header(b);
}

size_t
body_feed(struct body *b, struct str in)
{
	size_t used = dot_reader_feed(&b->dot, in, take, b, &b->ended);

	b->raw += used;
	check_lines(b);
	scan_header(b);
	return used;
}

void
body_begin_chunks(struct body *b)
{
	chunk_reader_init(&b->dot, b->normalize);
	b->chunked = true;
}

void
body_end_chunks(struct body *b)
{
	chunk_reader_end(&b->dot, take, b);
	b->ended = true;
	check_lines(b);
	scan_header(b);
}

bool
body_needs_file(const struct body *b)
{
	return b->fault == BODY_FINE && b->head.done &&
	       (content_is_over(&b->content) ||
		   content_is_stranded(&b->content));
}

bool
body_ask_file(struct body *b)
{
	if (content_ask_file(&b->content))
		return true;
	body_check(b);
	return false;
}

enum body_fault
body_finish(struct body *b)
{
	if (b->fault == BODY_FINE) {
		content_finish(&b->content);
		body_check(b);
	}
	return b->fault;
}

static int
insert(struct body *b, size_t pos, struct str field)
{
	struct buf *c = &b->content.bytes;

	if (buf_reserve(c, field.len) == NULL) {
		body_fail(b, BODY_HEADER_SIZE);
		return -1;
	}
	memmove(c->p + pos + field.len, c->p + pos, c->len - pos);
	memcpy(c->p + pos, field.p, field.len);
	buf_commit(c, field.len);
	b->content.held += field.len;
	return 0;
}

void
body_prepend(struct body *b, struct str field)
{
	if (insert(b, 0, field) == 0)
		b->ours += field.len;
}

void
body_add_field(struct body *b, struct str field)
{
	insert(b, b->ours, field);
}

void
body_end_header(struct body *b)
{
	struct str block = body_header(b);

	if (!str_eq(block, STR("\r\n")) &&
	    !(block.len >= 4 &&
		str_eq(str_skip(block, block.len - 4), STR("\r\n\r\n"))))
		insert(b, block.len, STR("\r\n"));
}

void
body_cut(struct body *b, size_t pos, size_t len)
{
	struct buf *c = &b->content.bytes;

	memmove(c->p + pos, c->p + pos + len, c->len - pos - len);
	c->len -= len;
	b->content.held -= len;
}

struct str
body_header(const struct body *b)
{
	if (b->header != NULL)
		return (struct str){ b->header, b->header_len };
	return str_head(buf_str(&b->content.bytes), b->content.held);
}

void
body_set_header(struct body *b, struct str header)
{
	free(b->header);
	b->header = str_dup(header);
	b->header_len = header.len;
}

void
body_set_content(struct body *b, struct content **content)
{
	struct str header = body_header(b);

	/* What remains of the old one is its header block. */
	if (b->header == NULL)
		body_set_header(b, header);
	content_move(&b->content, content);
}

bool
body_is_8bit(const struct body *b)
{
	return b->content.is_8bit || content_has_8bit(body_header(b));
}
