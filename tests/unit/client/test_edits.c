/* What one filter changes in a header, and what several of them do. */
#include <stdlib.h>

#include "tests/unit/client/edit_check.h"

/* --- header --- */

START_TEST(test_nothing)
{
	struct edits *e;

	begin(OURS "A: 1\r\n\r\n");
	e = filter(1);
	ck_assert_uint_eq(edits_count(e), 0);
	ck_assert_ptr_null(edits_quarantine(e));
	ck_assert(!edits_has_body(e) && !edits_storage_failed(e));
	apply(e, 0, 1);
	ck_assert(!headers.changed);
	ck_assert_ptr_null(sum.body);
	ck_assert_ptr_null(sum.from);
	header_is(OURS "A: 1\r\n\r\n");
	end();
}

END_TEST

START_TEST(test_insert_index)
{
	struct edits *e;

	begin(OURS "A: 1\r\nB: 2\r\n\r\n");
	e = filter(1);
	TAKE_AT(e, 'i', 1, "Below\0x\0");
	TAKE_AT(e, 'i', 0, "Above\0x\0");
	TAKE_AT(e, 'i', 1, "Second\0x\0");
	TAKE_AT(e, 'i', UINT32_MAX, "Last\0x\0");
	TAKE_AT(e, 'i', 8, "Later\0x\0");
	TAKE_AT(e, 'i', 6, "Before-Last\0x\0");
	apply(e, 0, 1);
	ck_assert(headers.changed);
	header_is("Above: x\r\nSecond: x\r\n" OURS
		  "Below: x\r\nA: 1\r\nB: 2\r\nBefore-Last: x\r\nLast: x\r\n"
		  "Later: x\r\n\r\n");
	ck_assert_uint_eq(headers.count, 9);
	end();
}

END_TEST

START_TEST(test_change_index)
{
	struct edits *e;

	begin(
	    OURS "Received: 1\r\nX: a\r\nx: b\r\nReceived: 2\r\nX: c\r\n\r\n");
	e = filter(1);
	/* Ours is not counted; 0 is 1; the sent spelling of the name. */
	TAKE_AT(e, 'm', 1, "received\0new\0");
	TAKE_AT(e, 'm', 0, "X\0A\0");
	TAKE_AT(e, 'm', 3, "x\0C\0");
	/* Not there: added; or nothing. */
	TAKE_AT(e, 'm', 4, "X\0D\0");
	TAKE_AT(e, 'm', 7, "X\0\0");
	TAKE_AT(e, 'm', UINT32_MAX, "X\0\0");
	/* One of its own counts. */
	TAKE_AT(e, 'm', 4, "X\0E\0");
	apply(e, 0, 1);
	header_is(OURS "received: new\r\nX: A\r\nx: b\r\nReceived: 2\r\n"
		       "x: C\r\nX: E\r\n\r\n");
	end();
}

END_TEST

/* What was deleted is gone: those behind it move up at once. */
START_TEST(test_delete)
{
	struct edits *e;

	begin("D: 1\r\nD: 2\r\nD: 3\r\nD: 4\r\nA: x\r\n\r\n");
	e = filter(1);
	TAKE_AT(e, 'm', 0, "D\0\0");
	TAKE_AT(e, 'm', 0, "D\0\0");
	TAKE_AT(e, 'm', 2, "D\0\0");
	TAKE(e, 'h', "N\0x\0");
	TAKE_AT(e, 'm', 1, "N\0\0");
	/* In front of what is deleted later. */
	TAKE_AT(e, 'i', 0, "T\0x\0");
	TAKE_AT(e, 'm', 1, "D\0\0");
	apply(e, 0, 1);
	header_is("T: x\r\nA: x\r\n\r\n");
	ck_assert_uint_eq(headers.bytes, strlen("T: x\r\nA: x\r\n"));
	end();
}

END_TEST

START_TEST(test_lead_space)
{
	struct edits *e;

	begin("A: 1\r\n\r\n");
	e = filter(1);
	TAKE(e, 'h', "B\0 x\0");
	TAKE(e, 'h', "C\0\0");
	edits_negotiated(e, true, 0x1ff);
	TAKE(e, 'h', "D\0 x\0");
	TAKE(e, 'h', "E\0x\0");
	TAKE(e, 'h', "F\0\n\tx\0");
	apply(e, 0, 1);
	header_is("A: 1\r\nB:  x\r\nC:\r\nD: x\r\nE:x\r\nF:\r\n\tx\r\n\r\n");
	end();
}

END_TEST

static void
value_is(struct str sent, const char *want)
{
	struct edits *e;
	struct buf b;

	begin("\r\n");
	e = filter(1);
	buf_init(&b, 1 << 20);
	buf_add_str(&b, STR("V\0"));
	buf_add_str(&b, sent);
	buf_add_char(&b, '\0');
	ck_assert_int_eq(edits_take(e, 'h', buf_str(&b), &fault), EDITS_TAKEN);
	apply(e, 0, 1);
	header_is(want);
	buf_clear(&b);
	end();
}

START_TEST(test_value)
{
	value_is(STR("a\n\tb\n c"), "V: a\r\n\tb\r\n c\r\n\r\n");
	value_is(STR("a\r\n b\r\n"), "V: a\r\n b\r\n\r\n");
	value_is(STR("a\nEvil: yes"), "V: a\r\n\tEvil: yes\r\n\r\n");
	value_is(STR("a\n\nbody"), "V: a\r\n\tbody\r\n\r\n");
	value_is(STR("a\r\n\r\nbody"), "V: a\r\n\tbody\r\n\r\n");
	value_is(STR("a\r\n \r\n\t \nbody\n \t"), "V: a\r\n\tbody\r\n\r\n");
	value_is(STR("a\rb\r\r\nc\r"), "V: ab\r\n\tc\r\n\r\n");
	value_is(STR("\n\n\n"), "V: \r\n\r\n");
	value_is(STR("\r"), "V: \r\n\r\n");
	value_is(STR("gr\xfc\xdf\x65"), "V: gr\xfc\xdf\x65\r\n\r\n");
}

END_TEST

START_TEST(test_bad_header)
{
	struct edits *e;

	begin("A: 1\r\n\r\n");
	e = filter(1);
	BAD(e, 'h', "");
	BAD(e, 'h', "A\0x");
	BAD(e, 'h', "A\0x\0y");
	BAD(e, 'h', "A\0x\0\0");
	BAD(e, 'h', "A");
	BAD(e, 'h', "\0x\0");
	BAD(e, 'h', "A:\0x\0");
	BAD(e, 'h', "A b\0x\0");
	BAD(e, 'h', "A\nB\0x\0");
	BAD(e, 'h', "A\x80\0x\0");
	BAD(e, 'i', "\0\0\0");
	BAD(e, 'i', "\0\0\0\0A\0x");
	BAD(e, 'i', "\0\0\0\0\0x\0");
	BAD(e, 'm', "A\0x\0");
	BAD(e, 'm', "\0\0\0\1A:\0x\0");
	BAD(e, 'm', "\0\0\0\1A:\0\0");
	BAD(e, 'c', "");
	BAD(e, 'O', "");
	BAD(e, '\0', "");
	edits_free(&e);
	header_is("A: 1\r\n\r\n");
	ck_assert(!headers.changed);
	end();
}

END_TEST

START_TEST(test_limits)
{
	char name[103], *big = xmalloc(EDITS_BYTES_MAX + 10);
	struct edits *e;

	begin("A: 1\r\n\r\n");
	e = filter(1);
	memset(name, 'n', sizeof(name));
	name[100] = name[102] = '\0';
	ck_assert_int_eq(
	    edits_take(e, 'h', (struct str){ name, 103 }, &fault), EDITS_TAKEN);
	name[100] = 'n';
	name[101] = '\0';
	ck_assert_int_eq(
	    edits_take(e, 'h', (struct str){ name, 103 }, &fault), EDITS_BAD);
	edits_free(&e);
	/* One field of as much as it may have; more. */
	memset(big, 'v', EDITS_BYTES_MAX + 10);
	memcpy(big, "N\0", 2);
	for (size_t len = EDITS_FIELD_MAX - 5; len < EDITS_FIELD_MAX - 3;
	     len++) {
		bool fits = len == EDITS_FIELD_MAX - 5;

		e = filter(1);
		big[2 + len] = '\0';
		ck_assert_int_eq(
		    edits_take(e, 'h', (struct str){ big, len + 3 }, &fault),
		    fits ? EDITS_TAKEN : EDITS_BAD);
		edits_free(&e);
		big[2 + len] = 'v';
	}
	/* Many large ones. */
	e = filter(1);
	big[50001] = '\0';
	for (int i = 0; i < EDITS_BYTES_MAX / 50002; i++)
		ck_assert_int_eq(
		    edits_take(e, 'h', (struct str){ big, 50002 }, &fault),
		    EDITS_TAKEN);
	ck_assert_int_eq(
	    edits_take(e, 'h', (struct str){ big, 50002 }, &fault), EDITS_BAD);
	edits_free(&e);
	/* Many. */
	e = filter(1);
	for (int i = 0; i < EDITS_MAX; i++)
		TAKE(e, 'h', "A\0x\0");
	BAD(e, 'h', "A\0x\0");
	ck_assert_uint_eq(edits_count(e), EDITS_MAX);
	apply(e, 0, 1);
	ck_assert_uint_eq(headers.count, EDITS_MAX + 1);
	end();
	free(big);
}

END_TEST

/* Filters together may not make it grow without end. */
START_TEST(test_grows_too_large)
{
	char *big = xmalloc(50003);
	bool refused = false;

	begin("A: 1\r\n\r\n");
	memset(big, 'v', 50003);
	memcpy(big, "N\0", 2);
	big[50002] = '\0';
	for (uint32_t number = 1; number < 5 && !refused; number++) {
		struct edits *e = filter(number);

		for (int i = 0; i < 20; i++)
			ck_assert_int_eq(
			    edits_take(
				e, 'h', (struct str){ big, 50003 }, &fault),
			    EDITS_TAKEN);
		refused = edits_apply(e, number, number, &sum, &fault, NULL,
			      NULL) == -1;
		edits_free(&e);
	}
	ck_assert(refused);
	ck_assert_uint_le(headers.bytes, EDITS_HEADER_MAX);
	free(big);
	end();
}

END_TEST

/* Without an empty line fields and body would run into each other. */
START_TEST(test_empty_line)
{
	struct edits *e;

	begin("A: 1\r\n");
	e = filter(1);
	TAKE(e, 'h', "B\0x\0");
	apply(e, 0, 1);
	header_is("A: 1\r\nB: x\r\n\r\n");
	end();
	begin("");
	e = filter(1);
	TAKE(e, 'b', "Subject: of a body\r\n");
	apply(e, 0, 1);
	header_is("\r\n");
	ck_assert(headers.changed);
	end();
	begin("A: 1\r\n");
	e = filter(1);
	TAKE(e, '+', "a@b.example\0");
	apply(e, 0, 1);
	header_is("A: 1\r\n");
	ck_assert(!headers.changed);
	end();
}

END_TEST

/* --- groups --- */

START_TEST(test_later_wins)
{
	struct edits *a, *b, *c;

	begin("X: 1\r\nX: 2\r\nY: 3\r\n\r\n");
	a = filter(2);
	b = filter(3);
	TAKE_AT(a, 'm', 1, "X\0a\0");
	TAKE_AT(a, 'm', 2, "X\0\0");
	TAKE_AT(a, 'm', 1, "Y\0\0");
	TAKE_AT(a, 'i', 0, "A\0a\0");
	/* The indexes are those of the list that it was shown. */
	TAKE_AT(b, 'm', 2, "X\0b\0");
	TAKE_AT(b, 'i', 2, "B\0b\0");
	TAKE_AT(b, 'm', 1, "Y\0y\0");
	TAKE_AT(b, 'm', 1, "A\0b\0");
	apply(a, 1, 2);
	header_is("A: a\r\nX: a\r\n\r\n");
	ck_assert_int_eq(conflicts, 0);
	apply(b, 1, 2);
	/* Revived, twice; its A is one of its own. */
	header_is("A: a\r\nX: a\r\nX: b\r\nB: b\r\nY: y\r\nA: b\r\n\r\n");
	ck_assert_int_eq(conflicts, 2);
	/* In the next step it is no conflict. */
	c = filter(4);
	TAKE_AT(c, 'm', 1, "X\0c\0");
	TAKE_AT(c, 'm', 2, "X\0\0");
	TAKE_AT(c, 'm', 1, "X\0cc\0");
	apply(c, 2, 4);
	header_is("A: a\r\nX: cc\r\nB: b\r\nY: y\r\nA: b\r\n\r\n");
	ck_assert_int_eq(conflicts, 2);
	end();
}

END_TEST

/* A deleted field is still a place. */
START_TEST(test_anchor)
{
	struct edits *a, *b;

	begin("X: 1\r\nY: 2\r\nZ: 3\r\n\r\n");
	a = filter(1);
	b = filter(2);
	TAKE_AT(a, 'm', 1, "Y\0\0");
	TAKE_AT(b, 'i', 1, "B\0b\0");
	TAKE_AT(b, 'i', 2, "C\0c\0");
	apply(a, 0, 1);
	apply(b, 0, 1);
	header_is("X: 1\r\nB: b\r\nC: c\r\nZ: 3\r\n\r\n");
	ck_assert_int_eq(conflicts, 0);
	end();
}

END_TEST

START_TEST(test_second_body)
{
	struct edits *a, *b;

	begin("X: 1\r\n\r\n");
	a = filter(1);
	b = filter(2);
	TAKE(a, 'b', "a");
	TAKE(b, 'b', "b");
	TAKE(b, 'h', "B\0x\0");
	TAKE(b, '+', "a@b.example\0");
	apply(a, 0, 1);
	ck_assert_int_eq(edits_end(b), EDITS_TAKEN);
	ck_assert_int_eq(
	    edits_apply(b, 0, 1, &sum, &fault, on_conflict, NULL), -1);
	ck_assert_str_eq(fault, "second new body in one group");
	edits_free(&b);
	body_is("a\r\n");
	ck_assert_uint_eq(sum.body_by, 1);
	ck_assert_uint_eq(sum.nrcpts, 0);
	header_is("X: 1\r\n\r\n");
	/* The next step may. */
	b = filter(3);
	TAKE(b, 'b', "c\n");
	apply(b, 1, 3);
	body_is("c\r\n");
	ck_assert_uint_eq(sum.body_by, 3);
	ck_assert_uint_eq(sum.body_step, 1);
	end();
}

END_TEST

/* Each needs its bit, and no other. */
START_TEST(test_actions)
{
	const struct {
		char code;
		uint32_t action;
		struct str payload;
	} all[] = {
		{ 'h', 0x01, STR("A\0x\0") },
		{ 'i', 0x01, STR("\0\0\0\0A\0x\0") },
		{ 'b', 0x02, STR("x") },
		{ '+', 0x04, STR("a@b.example\0") },
		{ '-', 0x08, STR("a@b.example\0") },
		{ 'm', 0x10, STR("\0\0\0\1A\0x\0") },
		{ 'q', 0x20, STR("x\0") },
		{ 'e', 0x40, STR("a@b.example\0") },
		{ '2', 0x80, STR("a@b.example\0") },
	};

	begin("A: 1\r\n\r\n");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct edits *e = filter(1);

		edits_negotiated(e, false, 0x1ff & ~all[i].action);
		ck_assert_int_eq(
		    edits_take(e, all[i].code, all[i].payload, &fault),
		    EDITS_BAD);
		ck_assert(!edits_has_body(e));
		edits_negotiated(e, false, all[i].action);
		ck_assert_int_eq(
		    edits_take(e, all[i].code, all[i].payload, &fault),
		    EDITS_TAKEN);
		ck_assert_uint_eq(edits_count(e), 1);
		edits_free(&e);
	}
	end();
}

END_TEST

START_TEST(test_describe)
{
	struct edits *e;
	struct buf b;

	begin("A: 1\r\n\r\n");
	e = filter(1);
	buf_init(&b, 4096);
	edits_describe(e, &b);
	ck_assert_uint_eq(b.len, 0);
	TAKE(e, 'h', "A\0x\0");
	TAKE(e, 'h', "A\0x\0");
	TAKE_AT(e, 'i', 1, "A\0x\0");
	TAKE_AT(e, 'm', 1, "A\0\0");
	TAKE(e, 'b', "x");
	TAKE(e, 'b', "x");
	TAKE(e, '+', "a@b.example\0");
	TAKE(e, '-', "c@b.example\0");
	TAKE(e, 'e', "<>\0");
	TAKE(e, 'q', "why\0");
	edits_describe(e, &b);
	ck_assert(str_eq(buf_str(&b),
	    STR("addheader=2 insheader=1 chgheader=1 replbody=1"
		" addrcpt=<a@b.example> delrcpt=<c@b.example> chgfrom=<>"
		" quarantine=1")));
	ck_assert_uint_eq(edits_count(e), 9);
	buf_clear(&b);
	edits_free(&e);
	end();
}

END_TEST

int
main(void)
{
	/* clang-format off */
	const TTest *const tests[] = {
		test_nothing,
		test_insert_index,
		test_change_index,
		test_delete,
		test_lead_space,
		test_value,
		test_bad_header,
		test_limits,
		test_grows_too_large,
		test_empty_line,
		test_later_wins,
		test_anchor,
		test_second_body,
		test_actions,
		test_describe,
	};
	/* clang-format on */
	Suite *s = suite_create("edits");
	TCase *tc = tcase_create("edits");
	SRunner *r;
	int failed;

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
