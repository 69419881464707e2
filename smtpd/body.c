/* Message content, looked at once. */
#include "smtpd/body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "smtpd/from_queue.h"

enum {
	/* Header caps, inline body and one read beyond: never reached. */
	CONTENT_MAX = 4 << 20
};

struct body *
body_new(const struct limits *limits, uint64_t max_size, bool normalize)
{
	struct body *b = xcalloc(1, sizeof(*b));

	dot_reader_init(&b->dot, normalize);
	header_scan_init(&b->head);
	b->limits = limits;
	b->max_size = max_size;
	b->normalize = normalize;
	b->fd = -1;
	b->begin_ms = clock_mono_ms();
	buf_init(&b->content, CONTENT_MAX);
	return b;
}

static void
drop_file(struct body *b)
{
	struct channel *ch = from_queue_channel();
	bool ours = b->generation == from_queue_generation();

	if (b->ask != NULL)
		b->ask->command = NULL;
	b->ask = NULL;
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
	if (b->bodyfile != 0 && ch != NULL && ours) {
		struct tell_bodyfile_dropped m = { .bodyfile = b->bodyfile };

		channel_tell(ch, TYPE_tell_bodyfile_dropped, &m, 0);
	}
	b->bodyfile = 0;
}

void
body_free(struct body **b)
{
	if (*b == NULL)
		return;
	drop_file(*b);
	buf_clear(&(*b)->content);
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
	buf_clear(&b->content);
	drop_file(b);
}

static void
write_file(struct body *b, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(b->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			body_fail(b, n == 0 || errno == ENOSPC ||
					     errno == EDQUOT || errno == EFBIG ?
					 BODY_NO_SPACE :
					 BODY_NO_FILE);
			return;
		}
		p += n;
		len -= (size_t)n;
		b->file_size += (uint64_t)n;
	}
}

/* Eight bytes at a time: most mail has none. */
static bool
has_8bit(const char *p, size_t len)
{
	uint64_t all = 0, v;

	for (; len >= sizeof(v); p += sizeof(v), len -= sizeof(v)) {
		memcpy(&v, p, sizeof(v));
		all |= v;
	}
	for (; len > 0; p++, len--)
		all |= (unsigned char)*p;
	return (all & 0x8080808080808080U) != 0;
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
	if (!b->is_8bit)
		b->is_8bit = has_8bit(p, len);
	if (b->fd >= 0)
		write_file(b, p, len);
	else
		buf_add(&b->content, p, len);
}

size_t
body_feed(struct body *b, struct str in)
{
	size_t used = dot_reader_feed(&b->dot, in, take, b, &b->ended);

	b->raw += used;
	if (b->dot.nul || (b->dot.bare && !b->normalize))
		body_fail(b, BODY_BARE);
	if (b->dot.longest > b->limits->text_line)
		body_fail(b, BODY_LINE);
	if (b->fault == BODY_FINE && !b->head.done) {
		header_scan_feed(&b->head, buf_str(&b->content), b->ended);
		check_header(b);
	}
	return used;
}

bool
body_needs_file(const struct body *b)
{
	return b->fault == BODY_FINE && b->fd < 0 && b->head.done &&
	       b->content.len > MAIL_INLINE_MAX;
}

void
body_set_file(struct body *b, uint64_t bodyfile, int fd, uint64_t generation)
{
	size_t header = body_header_size(b);

	b->bodyfile = bodyfile;
	b->fd = fd;
	b->generation = generation;
	write_file(b, b->content.p + header, b->content.len - header);
	if (b->fault == BODY_FINE)
		b->content.len = header;
}

enum body_fault
body_finish(struct body *b)
{
	if (b->fault == BODY_FINE && b->bodyfile != 0 &&
	    (b->generation != from_queue_generation() ||
		from_queue_channel() == NULL))
		body_fail(b, BODY_NO_FILE);
	return b->fault;
}

void
body_prepend(struct body *b, struct str field)
{
	struct buf *c = &b->content;

	if (buf_reserve(c, field.len) == NULL) {
		body_fail(b, BODY_HEADER_SIZE);
		return;
	}
	memmove(c->p + field.len, c->p, c->len);
	memcpy(c->p, field.p, field.len);
	buf_commit(c, field.len);
	b->ours += field.len;
}

size_t
body_header_size(const struct body *b)
{
	return b->ours + b->head.size;
}
