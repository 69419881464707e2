/* Bytes in memory, then in a file that the queue opened for us. */
#include "smtpd/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "smtpd/from_queue.h"

enum {
	/* Header caps, inline body and one read beyond: never reached. */
	BYTES_MAX = 4 << 20
};

struct file_ask {
	struct content *content; /* NULL: nobody waits for it any more */
	uint64_t generation;
};

void
content_init(
    struct content *c, uint64_t max_size, content_fn *on_file, void *ctx)
{
	*c = (struct content){
		.max_size = max_size, .on_file = on_file, .ctx = ctx, .fd = -1
	};
	buf_init(&c->bytes, BYTES_MAX);
}

struct content *
content_new(uint64_t max_size, content_fn *on_file, void *ctx)
{
	struct content *c = xmalloc(sizeof(*c));

	content_init(c, max_size, on_file, ctx);
	return c;
}

static void
give_back(uint64_t bodyfile, uint64_t generation)
{
	struct tell_bodyfile_dropped m = { .bodyfile = bodyfile };
	struct channel *ch = from_queue_channel();

	if (ch != NULL && generation == from_queue_generation())
		channel_tell(ch, TYPE_tell_bodyfile_dropped, &m, 0);
}

static void
drop_file(struct content *c)
{
	if (c->ask != NULL)
		c->ask->content = NULL;
	c->ask = NULL;
	content_close(c);
	if (c->bodyfile != 0)
		give_back(c->bodyfile, c->generation);
	c->bodyfile = 0;
	c->file_size = 0;
}

void
content_clear(struct content *c)
{
	drop_file(c);
	buf_clear(&c->bytes);
}

void
content_free(struct content **c)
{
	if (*c == NULL)
		return;
	content_clear(*c);
	free(*c);
	*c = NULL;
}

void
content_move(struct content *to, struct content **from)
{
	content_clear(to);
	*to = **from;
	if (to->ask != NULL)
		to->ask->content = to;
	free(*from);
	*from = NULL;
}

void
content_fail(struct content *c, enum content_fault fault)
{
	c->fault = fault;
	content_clear(c);
}

static void
write_file(struct content *c, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(c->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			content_fail(c, n == 0 || errno == ENOSPC ||
						errno == EDQUOT ||
						errno == EFBIG ?
					    CONTENT_NO_SPACE :
					    CONTENT_NO_FILE);
			return;
		}
		p += n;
		len -= (size_t)n;
		c->file_size += (uint64_t)n;
	}
}

/* Eight bytes at a time: most mail has none. */
bool
content_has_8bit(struct str bytes)
{
	const char *p = bytes.p;
	size_t len = bytes.len;
	uint64_t all = 0, v;

	for (; len >= sizeof(v); p += sizeof(v), len -= sizeof(v)) {
		memcpy(&v, p, sizeof(v));
		all |= v;
	}
	for (; len > 0; p++, len--)
		all |= (unsigned char)*p;
	return (all & 0x8080808080808080U) != 0;
}

void
content_put(struct content *c, const char *p, size_t len)
{
	if (c->fault != CONTENT_FINE)
		return;
	if (!c->is_8bit)
		c->is_8bit = content_has_8bit((struct str){ p, len });
	if (c->fd >= 0) {
		write_file(c, p, len);
		return;
	}
	buf_add(&c->bytes, p, len);
	if (c->bytes.failed)
		content_fail(c, CONTENT_TOO_BIG);
}

/* --- the file --- */

static const enum content_fault refusals[] = {
	[REFUSED_FAULT] = CONTENT_NO_FILE,
	[REFUSED_SPACE] = CONTENT_NO_SPACE,
	[REFUSED_BUSY] = CONTENT_NO_FILE,
	[REFUSED_MALFORMED] = CONTENT_NO_FILE,
};

/* Its content to another file, within the kernel. */
static void
move_file(struct content *c, int from, uint64_t size)
{
	off_t at = 0;

	while ((uint64_t)at < size) {
		ssize_t n = sendfile(c->fd, from, &at, size - (uint64_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			content_fail(
			    c, n < 0 && (errno == ENOSPC || errno == EDQUOT ||
					    errno == EFBIG) ?
				   CONTENT_NO_SPACE :
				   CONTENT_NO_FILE);
			return;
		}
	}
}

static void
take_file(struct content *c, const struct answer_bodyfile *m, uint64_t from)
{
	int old = c->fd;
	uint64_t size = c->file_size;

	c->bodyfile = m->bodyfile;
	c->fd = m->file;
	c->generation = from;
	if (old != -1) {
		move_file(c, old, size);
		close(old);
		return;
	}
	write_file(c, c->bytes.p + c->held, c->bytes.len - c->held);
	if (c->fault == CONTENT_FINE)
		c->bytes.len = c->held;
}

static void
on_file(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct file_ask *ask = ctx;
	struct content *c = ask->content;
	uint64_t generation = ask->generation;
	bool is_file = fault == NULL && type == TYPE_answer_bodyfile;
	const struct answer_bodyfile *file = msg;

	free(ask);
	if (c == NULL) {
		if (is_file) {
			close(file->file);
			give_back(file->bodyfile, generation);
		}
		return;
	}
	c->ask = NULL;
	if (is_file)
		take_file(c, file, generation);
	else if (fault == NULL && type == TYPE_answer_refused) {
		const struct answer_refused *no = msg;

		content_fail(c, refusals[no->why]);
	} else
		content_fail(c, CONTENT_NO_FILE);
	c->on_file(c->ctx, c, c->fault == CONTENT_FINE);
}

bool
content_is_over(const struct content *c)
{
	return c->fault == CONTENT_FINE && c->fd < 0 && c->ask == NULL &&
	       c->bytes.len > MAIL_INLINE_MAX;
}

bool
content_is_stranded(const struct content *c)
{
	return c->fault == CONTENT_FINE && c->bodyfile != 0 && c->fd >= 0 &&
	       c->ask == NULL && c->generation != from_queue_generation() &&
	       c->generation >= from_queue_unbroken() &&
	       from_queue_channel() != NULL;
}

bool
content_ask_file(struct content *c)
{
	struct channel *ch = from_queue_channel();
	struct ask_bodyfile m = { .size_hint = c->size_hint };

	if (ch == NULL) {
		content_fail(c, CONTENT_NO_FILE);
		return false;
	}
	c->ask = xmalloc(sizeof(*c->ask));
	c->ask->content = c;
	c->ask->generation = from_queue_generation();
	channel_ask(ch, TYPE_ask_bodyfile, &m, on_file, c->ask);
	return true;
}

enum milter_room
content_add(struct content *c, struct str bytes)
{
	if (content_size(c) + bytes.len > c->max_size)
		content_fail(c, CONTENT_TOO_BIG);
	content_put(c, bytes.p, bytes.len);
	if (content_is_over(c) && content_ask_file(c))
		return MILTER_WAIT;
	return c->fault == CONTENT_FINE ? MILTER_ROOM : MILTER_NO_ROOM;
}

/* --- what is there --- */

enum content_fault
content_finish(struct content *c)
{
	bool lost =
	    c->bodyfile != 0 && (c->generation != from_queue_generation() ||
				    from_queue_channel() == NULL);

	if (c->fault == CONTENT_FINE && (lost || c->ask != NULL))
		content_fail(c, CONTENT_NO_FILE);
	return c->fault;
}

uint64_t
content_size(const struct content *c)
{
	return c->bodyfile != 0 ? c->file_size : content_memory(c).len;
}

struct str
content_memory(const struct content *c)
{
	return str_skip(buf_str(&c->bytes), c->held);
}

void
content_show(const struct content *c, struct milter_mail *mail)
{
	mail->fd = c->bodyfile != 0 ? c->fd : -1;
	mail->body = content_memory(c);
	mail->body_size = content_size(c);
}

enum milter_room
content_body_add(void *body, struct str bytes)
{
	return content_add(body, bytes);
}

void
content_body_free(void *body)
{
	struct content *c = body;

	content_free(&c);
}

void
content_body_show(const void *body, struct milter_mail *mail)
{
	content_show(body, mail);
}

/* --- to the queue --- */

void
content_describe(
    const struct content *c, size_t header_size, struct ask_commit *m)
{
	m->header_size = (uint32_t)header_size;
	m->inline_size = (uint32_t)(header_size + content_memory(c).len);
	m->bodyfile = c->bodyfile;
	m->body_size = content_size(c);
}

static void
send_bytes(struct channel *ch, uint64_t id, struct str bytes)
{
	while (bytes.len > 0) {
		struct tell_content m = { .bytes = str_head(
					      bytes, CHANNEL_CONTENT_MAX) };

		channel_tell(ch, TYPE_tell_content, &m, id);
		bytes = str_skip(bytes, CHANNEL_CONTENT_MAX);
	}
}

void
content_send(
    const struct content *c, struct channel *ch, uint64_t id, struct str header)
{
	send_bytes(ch, id, header);
	send_bytes(ch, id, content_memory(c));
}

void
content_committed(struct content *c)
{
	c->bodyfile = 0;
}

void
content_close(struct content *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}
