/* New bodies in memory, with room as the test wants it; for tests of edits. */
#ifndef POSTERN_TESTS_UNIT_CLIENT_BODY_STUB_H
#define POSTERN_TESTS_UNIT_CLIENT_BODY_STUB_H

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "milters/client/milter.h"

struct stub_body {
	struct buf bytes;
};

/* What the next body_add says, and how many bodies there are. */
static enum milter_room stub_room = MILTER_ROOM;
static int stub_bodies;

static inline void *
stub_new(void *ctx, uint64_t max)
{
	struct stub_body *b = xcalloc(1, sizeof(*b));

	(void)ctx;
	buf_init(&b->bytes, (size_t)max);
	stub_bodies++;
	return b;
}

static inline enum milter_room
stub_add(void *body, struct str bytes)
{
	struct stub_body *b = body;

	if (stub_room != MILTER_NO_ROOM)
		buf_add_str(&b->bytes, bytes);
	return b->bytes.failed ? MILTER_NO_ROOM : stub_room;
}

static inline void
stub_free(void *body)
{
	struct stub_body *b = body;

	buf_clear(&b->bytes);
	free(b);
	stub_bodies--;
}

static const struct milter_ops stub_ops = {
	.body_new = stub_new,
	.body_add = stub_add,
	.body_free = stub_free,
};

#endif
