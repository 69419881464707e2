/* The header block as a list of fields. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "milters/client/headers.h"

#define OURS "Received: from a\r\n\tby b\r\n"

static void
round_trip(const char *block, size_t ours, size_t count)
{
	struct headers h;
	struct buf out;

	headers_init(&h, str_of(block), ours);
	ck_assert_uint_eq(h.count, count);
	ck_assert(!h.changed);
	buf_init(&out, 65536);
	headers_format(&h, &out);
	ck_assert_uint_eq(out.len, strlen(block));
	if (out.len > 0)
		ck_assert_mem_eq(out.p, block, out.len);
	buf_clear(&out);
	headers_clear(&h);
}

START_TEST(test_round_trip)
{
	round_trip("", 0, 0);
	round_trip("\r\n", 0, 0);
	round_trip(OURS, strlen(OURS), 1);
	round_trip(OURS "\r\n", strlen(OURS), 1);
	round_trip(
	    OURS "A: 1\r\nB:\r\n \r\n\tx\r\nC:2\r\n\r\n", strlen(OURS), 4);
	round_trip("A: cut off", 0, 1);
	round_trip("A: 1\nB: 2\n\n", 0, 2);
	round_trip("A: 1\r\nno field\r\n", 0, 1);
}

END_TEST

START_TEST(test_shown)
{
	static const char block[] = OURS "A: 1\r\nLonger: 2\r\n  3\r\n\r\n";
	const struct header_node *n;
	struct headers h;

	headers_init(&h, str_of(block), strlen(OURS));
	ck_assert_uint_eq(h.bytes, strlen(block) - 2);
	ck_assert_uint_eq(h.longest, strlen("Longer: 2\r\n  3\r\n"));
	n = headers_next(&h, NULL);
	ck_assert(str_eq(n->name, STR("A")) && str_eq(n->value, STR(" 1")));
	n = headers_next(&h, n);
	ck_assert(str_eq(n->name, STR("Longer")));
	ck_assert(str_eq(n->value, STR(" 2\r\n  3")));
	ck_assert_ptr_null(headers_next(&h, n));
	TAILQ_FIRST(&h.list)->ours = false;
	TAILQ_NEXT(TAILQ_FIRST(&h.list), entry)->deleted = true;
	headers_count(&h);
	ck_assert_uint_eq(h.count, 2);
	n = headers_next(&h, NULL);
	ck_assert(str_eq(n->name, STR("Received")));
	n = headers_next(&h, n);
	ck_assert(str_eq(n->name, STR("Longer")));
	headers_clear(&h);
}

END_TEST

static void
shown(const char *field, bool lead_space, const char *want)
{
	struct headers h;
	struct buf out;

	headers_init(&h, str_of(field), 0);
	buf_init(&out, 65536);
	header_value_for_filter(TAILQ_FIRST(&h.list), lead_space, &out);
	ck_assert_uint_eq(out.len, strlen(want));
	if (out.len > 0)
		ck_assert_mem_eq(out.p, want, out.len);
	buf_clear(&out);
	headers_clear(&h);
}

START_TEST(test_value)
{
	shown("A: 1\r\n", false, "1");
	shown("A: 1\r\n", true, " 1");
	shown("A:  1\r\n", false, " 1");
	shown("A:\t1\r\n", false, "\t1");
	shown("A:1\r\n", false, "1");
	shown("A:\r\n", false, "");
	shown("A:\r\n\tx\r\n y\r\n", false, "\n\tx\n y");
	shown("A: x\r\n y\r\n", true, " x\n y");
	shown("A: x \r\n", false, "x ");
	shown("A: cut\r", false, "cut\r");
}

END_TEST

/* What was cut off gets its line's end only when something follows. */
START_TEST(test_open_end)
{
	struct headers h;
	struct buf out;
	char *made = strdup("B: 2\r\n");
	struct header_node *n = header_node_new(made, 6, 1);

	ck_assert(str_eq(n->value, STR(" 2")));
	headers_init(&h, STR("A: 1"), 0);
	TAILQ_INSERT_TAIL(&h.list, n, entry);
	buf_init(&out, 100);
	headers_format(&h, &out);
	ck_assert(str_eq(buf_str(&out), STR("A: 1\r\nB: 2\r\n")));
	buf_reset(&out);
	n->deleted = true;
	h.rest = STR("\r\n");
	headers_format(&h, &out);
	ck_assert(str_eq(buf_str(&out), STR("A: 1\r\n\r\n")));
	buf_clear(&out);
	headers_clear(&h);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("headers");
	TCase *tc = tcase_create("headers");
	SRunner *r;
	int failed;

	tcase_add_test(tc, test_round_trip);
	tcase_add_test(tc, test_shown);
	tcase_add_test(tc, test_value);
	tcase_add_test(tc, test_open_end);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
