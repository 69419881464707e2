/* New bodies and changes of the envelope, by filters. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/client/edit_check.h"

START_TEST(test_body)
{
	const struct {
		struct str sent;
		const char *want;
	} cases[] = {
		{ STR(""), "" },
		{ STR("a\r\nb\r\n"), "a\r\nb\r\n" },
		{ STR("a\nb"), "a\r\nb\r\n" },
		{ STR("a\rb\r"), "a\r\nb\r\n" },
		{ STR("a\r\r\nb"), "a\r\n\r\nb\r\n" },
		{ STR("\n\r\r\n\n"), "\r\n\r\n\r\n\r\n" },
		{ STR(".\r\n..\r\n.\n.\r"), ".\r\n..\r\n.\r\n.\r\n" },
		{ STR("\xff\x01"), "\xff\x01\r\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str s = cases[i].sent;

		/* Cut anywhere it is the same. */
		for (size_t cut = 0; cut <= s.len; cut++) {
			struct edits *e;

			begin("\r\n");
			e = filter(1);
			ck_assert_int_eq(
			    edits_take(e, 'b', str_head(s, cut), &fault),
			    EDITS_TAKEN);
			TAKE(e, 'h', "Between\0x\0");
			ck_assert_int_eq(
			    edits_take(e, 'b', str_skip(s, cut), &fault),
			    EDITS_TAKEN);
			ck_assert(edits_has_body(e));
			apply(e, 0, 1);
			body_is(cases[i].want);
			end();
		}
	}
}

END_TEST

START_TEST(test_body_bad)
{
	struct edits *e;

	begin("\r\n");
	mail.max_size = 10;
	e = filter(1);
	TAKE(e, 'b', "12345678\r\n");
	BAD(e, 'b', "9");
	edits_free(&e);
	e = filter(1);
	BAD(e, 'b', "1\n2\n3\n4\n");
	edits_free(&e);
	/* No room for the end of its last line. */
	e = filter(1);
	TAKE(e, 'b', "1234567890");
	ck_assert_int_eq(edits_end(e), EDITS_TAKEN);
	ck_assert(edits_storage_failed(e));
	edits_free(&e);
	mail.max_size = 1 << 20;
	e = filter(1);
	BAD(e, 'b', "1\0");
	edits_free(&e);
	end();
}

END_TEST

START_TEST(test_body_wait)
{
	struct edits *e;

	begin("\r\n");
	e = filter(1);
	stub_room = MILTER_WAIT;
	ck_assert_int_eq(edits_take(e, 'b', STR("a"), &fault), EDITS_WAIT);
	edits_body_ready(e, true);
	ck_assert_int_eq(edits_end(e), EDITS_WAIT);
	edits_body_ready(e, true);
	apply(e, 0, 1);
	body_is("a\r\n");
	end();
	/* It failed while it waited. */
	begin("\r\n");
	e = filter(1);
	stub_room = MILTER_WAIT;
	ck_assert_int_eq(edits_take(e, 'b', STR("a"), &fault), EDITS_WAIT);
	edits_body_ready(e, false);
	ck_assert(edits_storage_failed(e) && edits_has_body(e));
	/* The stream stays in step. */
	TAKE(e, 'b', "b");
	ck_assert_int_eq(edits_end(e), EDITS_TAKEN);
	ck_assert_int_eq(edits_apply(e, 0, 1, &sum, &fault, NULL, NULL), -1);
	edits_free(&e);
	end();
	begin("\r\n");
	e = filter(1);
	stub_room = MILTER_NO_ROOM;
	TAKE(e, 'b', "a");
	ck_assert(edits_storage_failed(e));
	TAKE(e, 'b', "b");
	edits_free(&e);
	end();
}

END_TEST

START_TEST(test_owns_body)
{
	struct edits *e;
	void *body;

	begin("\r\n");
	e = filter(1);
	ck_assert(!edits_owns_body(e, NULL));
	TAKE(e, 'b', "a");
	edits_end(e);
	ck_assert_int_eq(edits_apply(e, 0, 1, &sum, &fault, NULL, NULL), 0);
	body = sum.body;
	ck_assert(!edits_owns_body(e, body));
	edits_free(&e);
	e = filter(2);
	TAKE(e, 'b', "b");
	ck_assert(!edits_owns_body(e, body));
	edits_free(&e);
	end();
}

END_TEST

/* --- envelope --- */

START_TEST(test_rcpts)
{
	struct edits *e;
	struct buf b;

	begin("\r\n");
	e = filter(1);
	TAKE(e, '+', "<New@Example.ORG>\0");
	TAKE(e, '+', "bare@example.org\0");
	TAKE(e, '+', "<>\0");
	TAKE(e, '+', "\0");
	TAKE(e, '2', "<par@example.org>\0NOTIFY=NEVER ORCPT=rfc822;a@b\0");
	TAKE(e, '2', "nopar@example.org\0");
	TAKE(e, '-', "<old@example.org>\0");
	TAKE(e, '-', "not an address\0");
	TAKE(e, '-', "<>\0");
	TAKE(e, '-', "b\xc3\xbcro@example.org\0");
	ck_assert_uint_eq(edits_count(e), 10);
	buf_init(&b, 4096);
	edits_describe(e, &b);
	ck_assert(str_eq(buf_str(&b),
	    STR("addrcpt=<New@example.org> addrcpt=<bare@example.org>"
		" addrcpt=<par@example.org> addrcpt=<nopar@example.org>"
		" morercpts=2")));
	buf_clear(&b);
	apply(e, 0, 1);
	ck_assert_uint_eq(sum.nrcpts, 6);
	ck_assert(sum.rcpts[0].add);
	ck_assert(str_eq(sum.rcpts[0].addr, STR("New@example.org")));
	ck_assert_uint_eq(sum.rcpts[0].args.len, 0);
	ck_assert(
	    str_eq(sum.rcpts[2].args, STR("NOTIFY=NEVER ORCPT=rfc822;a@b")));
	ck_assert(!sum.rcpts[4].add);
	ck_assert(str_eq(sum.rcpts[4].addr, STR("old@example.org")));
	/* Of the next filter: behind these. */
	e = filter(2);
	TAKE(e, '-', "new@example.org\0");
	apply(e, 1, 2);
	ck_assert_uint_eq(sum.nrcpts, 7);
	ck_assert(!sum.rcpts[6].add);
	end();
}

END_TEST

START_TEST(test_bad_envelope)
{
	struct edits *e;

	begin("\r\n");
	e = filter(1);
	BAD(e, '+', "");
	BAD(e, '+', "a@b.example");
	BAD(e, '+', "a@b.example\0x\0");
	BAD(e, '+', "a@b.example,c@d.example\0");
	BAD(e, '+', "a@b.example c@d.example\0");
	BAD(e, '+', "<a@b.example> SIZE=1\0");
	BAD(e, '+', "A <a@b.example>\0");
	BAD(e, '+', "a\0");
	BAD(e, '+', "<a@b.example\0");
	BAD(e, '+', "a@b.example\r\nDATA\0");
	BAD(e, '+', "b\xc3\xbcro@example.org\0");
	BAD(e, '2', "a@b.example\0X=1\r\nDATA\0");
	BAD(e, '2', "a@b.example\0X=1");
	BAD(e, '2', "a@b.example\0X=1\0Y=2\0");
	BAD(e, '2', "a@b.example\0\xff\0");
	BAD(e, '-', "a@b.example");
	BAD(e, '-', "a@b.example\0x\0");
	BAD(e, 'e', "");
	BAD(e, 'e', "a@b@c\0");
	BAD(e, 'q', "");
	BAD(e, 'q', "reason");
	BAD(e, 'q', "a\0b\0");
	edits_free(&e);
	end();
}

END_TEST

START_TEST(test_many_rcpts)
{
	struct edits *e;
	char text[64];

	begin("\r\n");
	e = filter(1);
	for (int i = 0; i < EDITS_RCPTS_MAX; i++) {
		(void)snprintf(text, sizeof(text), "r%d@example.org", i);
		ck_assert_int_eq(
		    edits_take(e, i % 2 == 0 ? '+' : '-',
			(struct str){ text, strlen(text) + 1 }, &fault),
		    EDITS_TAKEN);
	}
	BAD(e, '+', "one@example.org\0");
	apply(e, 0, 1);
	ck_assert_uint_eq(sum.nrcpts, EDITS_RCPTS_MAX);
	end();
}

END_TEST

START_TEST(test_from)
{
	struct edits *e;

	begin("\r\n");
	e = filter(1);
	TAKE(e, 'e', "<one@Example.org>\0");
	TAKE(e, 'e', "two@Example.org\0SIZE=1 RET=HDRS\0");
	apply(e, 0, 1);
	ck_assert_str_eq(sum.from, "two@example.org");
	e = filter(2);
	TAKE(e, 'e', "<>\0");
	apply(e, 1, 2);
	ck_assert_str_eq(sum.from, "");
	mail.utf8 = true;
	e = filter(3);
	TAKE(e, 'e', "b\xc3\xbcro@example.org\0");
	TAKE(e, '+', "b\xc3\xbcro@example.org\0");
	apply(e, 2, 3);
	ck_assert_str_eq(sum.from, "b\xc3\xbcro@example.org");
	end();
}

END_TEST

START_TEST(test_quarantine)
{
	struct edits *e;
	char text[2000];

	begin("\r\n");
	e = filter(1);
	TAKE(e, 'q', " a\r\nreason\t\xc3\xbc\0");
	ck_assert_str_eq(edits_quarantine(e), "a??reason???");
	apply(e, 0, 1);
	e = filter(2);
	TAKE(e, 'q', "\0");
	ck_assert_str_eq(edits_quarantine(e), "no reason given");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(
	    edits_take(e, 'q', (struct str){ text, sizeof(text) }, &fault),
	    EDITS_TAKEN);
	ck_assert_uint_eq(strlen(edits_quarantine(e)), EDITS_REASON_MAX);
	apply(e, 1, 2);
	ck_assert_str_eq(sum.reason, "a??reason???");
	end();
}

END_TEST

int
main(void)
{
	/* clang-format off */
	const TTest *const tests[] = {
		test_body,
		test_body_bad,
		test_body_wait,
		test_owns_body,
		test_rcpts,
		test_bad_envelope,
		test_many_rcpts,
		test_from,
		test_quarantine,
	};
	/* clang-format on */
	Suite *s = suite_create("edit_body");
	TCase *tc = tcase_create("edit_body");
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
