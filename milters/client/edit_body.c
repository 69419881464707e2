/* The stream of a new body. */
#include "milters/client/edit_body.h"

#include <string.h>

#include "lib/base/buf.h"

void
edit_body_init(
    struct edit_body *b, uint64_t max, const struct milter_ops *ops, void *ctx)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
	b->ops = ops;
	b->ctx = ctx;
}

void
edit_body_clear(struct edit_body *b)
{
	if (b->body != NULL)
		b->ops->body_free(b->body);
	b->body = NULL;
}

static void
give_up(struct edit_body *b)
{
	b->failed = true;
	b->waiting = false;
	edit_body_clear(b);
}

/* A CR counts as a line's end whether an LF follows or not: what goes out has
 * no bare one, whatever a next hop would make of it. */
static void
make_canonical(struct edit_body *b, struct str in, struct buf *out)
{
	size_t from = 0;

	for (size_t i = 0; i < in.len; i++) {
		char c = in.p[i];

		if (c != '\n' && c != '\r' && !b->cr)
			continue;
		buf_add(out, in.p + from, i - from);
		from = i;
		if (b->cr || c == '\n')
			buf_add_str(out, STR("\r\n"));
		if (c == '\n' || c == '\r')
			from = i + 1;
		b->cr = c == '\r';
	}
	buf_add(out, in.p + from, in.len - from);
}

static enum edit_body_result
store(struct edit_body *b, struct str bytes)
{
	if (bytes.len > b->max - b->bytes)
		return EDIT_BODY_BIG;
	b->bytes += bytes.len;
	if (bytes.len > 0)
		b->open = bytes.p[bytes.len - 1] != '\n';
	if (bytes.len == 0 || b->failed)
		return EDIT_BODY_TAKEN;
	switch (b->ops->body_add(b->body, bytes)) {
	case MILTER_ROOM:
		break;
	case MILTER_WAIT:
		b->waiting = true;
		return EDIT_BODY_WAIT;
	case MILTER_NO_ROOM:
		give_up(b);
		break;
	}
	return EDIT_BODY_TAKEN;
}

enum edit_body_result
edit_body_add(struct edit_body *b, struct str bytes)
{
	enum edit_body_result r;
	struct buf out;

	if (!b->begun) {
		b->begun = true;
		b->body = b->ops->body_new(b->ctx, b->max);
	}
	if (bytes.len == 0)
		return EDIT_BODY_TAKEN;
	if (memchr(bytes.p, '\0', bytes.len) != NULL)
		return EDIT_BODY_NUL;
	buf_init(&out, 2 * bytes.len + 2);
	make_canonical(b, bytes, &out);
	r = store(b, buf_str(&out));
	buf_clear(&out);
	return r;
}

enum edit_body_result
edit_body_end(struct edit_body *b)
{
	if (b->ended)
		return EDIT_BODY_TAKEN;
	b->ended = true;
	if (!b->cr && !b->open)
		return EDIT_BODY_TAKEN;
	b->cr = false;
	enum edit_body_result r = store(b, STR("\r\n"));
	if (r == EDIT_BODY_BIG)
		give_up(b);
	return r == EDIT_BODY_WAIT ? r : EDIT_BODY_TAKEN;
}

void
edit_body_ready(struct edit_body *b, bool ok)
{
	b->waiting = false;
	if (!ok)
		give_up(b);
}
