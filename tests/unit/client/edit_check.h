/* A filter's packets in, a mail out: what the tests of edits stand on. */
#ifndef POSTERN_TESTS_UNIT_CLIENT_EDIT_CHECK_H
#define POSTERN_TESTS_UNIT_CLIENT_EDIT_CHECK_H

#include <check.h>
#include <string.h>

#include "milters/client/edits.h"
#include "milters/client/packet.h"
#include "tests/unit/client/body_stub.h"

#define OURS "Received: ours\r\n"

static struct milter_mail mail = { .fd = -1, .max_size = 1 << 20 };
static struct headers headers;
static struct edits_sum sum;
static const char *fault;
static int conflicts;

static inline void
begin(const char *block)
{
	mail.header = str_of(block);
	mail.ours = strncmp(block, OURS, strlen(OURS)) == 0 ? strlen(OURS) : 0;
	headers_init(&headers, mail.header, mail.ours);
	memset(&sum, 0, sizeof(sum));
	conflicts = 0;
	stub_room = MILTER_ROOM;
}

static inline void
end(void)
{
	edits_sum_clear(&sum, &stub_ops);
	headers_clear(&headers);
	mail.utf8 = false;
	ck_assert_int_eq(stub_bodies, 0);
}

static inline struct edits *
filter(uint32_t number)
{
	struct edits *e = edits_new(&headers, &mail, number, &stub_ops, NULL);

	edits_negotiated(e, false, 0x1ff);
	return e;
}

/* i m: with an index in front. */
static inline enum edits_taken
take_index(struct edits *e, char code, uint32_t index, struct str text)
{
	enum edits_taken taken;
	struct buf b;

	buf_init(&b, 4 << 20);
	packet_add_u32(&b, index);
	buf_add_str(&b, text);
	taken = edits_take(e, code, buf_str(&b), &fault);
	buf_clear(&b);
	return taken;
}

#define TAKE(e, code, text) \
	ck_assert_int_eq(edits_take(e, code, STR(text), &fault), EDITS_TAKEN)
#define TAKE_AT(e, code, index, text) \
	ck_assert_int_eq(take_index(e, code, index, STR(text)), EDITS_TAKEN)
#define BAD(e, code, text)                                              \
	do {                                                            \
		fault = NULL;                                           \
		ck_assert_int_eq(                                       \
		    edits_take(e, code, STR(text), &fault), EDITS_BAD); \
		ck_assert_ptr_nonnull(fault);                           \
	} while (0)

static inline void
on_conflict(void *ctx, const struct header_node *n)
{
	(void)ctx;
	ck_assert_uint_gt(n->changed_by, 0);
	conflicts++;
}

static inline void
apply(struct edits *e, uint32_t step, uint32_t first)
{
	ck_assert_int_eq(edits_end(e), EDITS_TAKEN);
	ck_assert_int_eq(
	    edits_apply(e, step, first, &sum, &fault, on_conflict, NULL), 0);
	edits_free(&e);
}

static inline void
header_is(const char *want)
{
	struct buf b;

	buf_init(&b, 4 << 20);
	headers_format(&headers, &b);
	buf_add_char(&b, '\0');
	ck_assert_str_eq(b.p, want);
	buf_clear(&b);
}

static inline void
body_is(const char *want)
{
	struct stub_body *b = sum.body;

	ck_assert_ptr_nonnull(b);
	ck_assert_uint_eq(b->bytes.len, strlen(want));
	if (b->bytes.len > 0)
		ck_assert_mem_eq(b->bytes.p, want, b->bytes.len);
}

#endif
