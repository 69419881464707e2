/* Replies of servers, good and hostile. */
#include "lib/mail/reply.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;

static enum reply_result
add(const char *line)
{
	return reply_add_line(&r, str_of(line));
}

static void
setup(void)
{
	reply_init(&r);
}

START_TEST(test_one_line)
{
	ck_assert_int_eq(add("250 2.1.5 Ok, fine"), REPLY_DONE);
	ck_assert_uint_eq(r.code, 250);
	ck_assert_uint_eq(r.status.class, 2);
	ck_assert_uint_eq(r.status.subject, 1);
	ck_assert_uint_eq(r.status.detail, 5);
	ck_assert_str_eq(r.text, "Ok, fine");
}

END_TEST

START_TEST(test_lines_are_joined)
{
	ck_assert_int_eq(add("550-5.1.1 no such"), REPLY_MORE);
	ck_assert_int_eq(add("550-"), REPLY_MORE);
	ck_assert_int_eq(add("550-5.1.1 user"), REPLY_MORE);
	ck_assert_int_eq(add("550 5.1.1"), REPLY_DONE);
	ck_assert_str_eq(r.text, "no such user");
	ck_assert_uint_eq(r.nlines, 4);
}

END_TEST

START_TEST(test_short_forms)
{
	static const char *const lines[] = { "250", "250 ", "354 ", "499" };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		reply_init(&r);
		ck_assert_msg(add(lines[i]) == REPLY_DONE &&
				  r.status.class == 0 && r.text[0] == '\0',
		    "%s", lines[i]);
	}
}

END_TEST

START_TEST(test_not_a_reply)
{
	static const char *const lines[] = { "", "2", "25", "hello", "000 x",
		"199 x", "600 x", "999 x", "2x0 x", "250x", "250\tx", "-50 x",
		"+25 x", " 250 x" };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		reply_init(&r);
		ck_assert_msg(add(lines[i]) == REPLY_BAD, "%s", lines[i]);
	}
}

END_TEST

START_TEST(test_code_must_stay)
{
	ck_assert_int_eq(add("250-x"), REPLY_MORE);
	ck_assert_int_eq(add("251 x"), REPLY_BAD);
}

END_TEST

START_TEST(test_status_of_another_class_is_text)
{
	ck_assert_int_eq(add("550 4.1.1 odd"), REPLY_DONE);
	ck_assert_uint_eq(r.status.class, 0);
	ck_assert_str_eq(r.text, "4.1.1 odd");
}

END_TEST

START_TEST(test_text_is_printable)
{
	ck_assert_int_eq(reply_add_line(&r, STR("250 a\001b\177c\xff"
						"d\033[1me")),
	    REPLY_DONE);
	ck_assert_str_eq(r.text, "a?b?c?d?[1me");
}

END_TEST

START_TEST(test_lines_bound)
{
	for (int i = 1; i < REPLY_LINES_MAX; i++)
		ck_assert_int_eq(add("250-x"), REPLY_MORE);
	ck_assert_int_eq(add("250 x"), REPLY_DONE);
	setup();
	for (int i = 0; i < REPLY_LINES_MAX; i++)
		ck_assert_int_eq(add("250-x"), REPLY_MORE);
	ck_assert_int_eq(add("250 x"), REPLY_BAD);
}

END_TEST

START_TEST(test_bytes_bounds)
{
	static char line[REPLY_LINE_MAX];
	size_t n = 0;

	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "250-", 4);
	/* with CRLF one byte too many */
	ck_assert_int_eq(add(line), REPLY_BAD);
	setup();
	line[REPLY_LINE_MAX - 2] = '\0';
	while (n + REPLY_LINE_MAX <= REPLY_TOTAL_MAX) {
		ck_assert_int_eq(add(line), REPLY_MORE);
		n += REPLY_LINE_MAX;
	}
	ck_assert_uint_eq(r.text_len, REPLY_KEPT_MAX);
	ck_assert_uint_eq(strlen(r.text), REPLY_KEPT_MAX);
	ck_assert_int_eq(add("250 x"), REPLY_BAD);
}

END_TEST

static void
expect_status(const char *in, const char *status, const char *behind)
{
	struct status st;
	struct str rest;
	char out[16];

	ck_assert_int_eq(status_parse(str_of(in), &st, &rest), 0);
	ck_assert_str_eq(status_format(&st, out), status);
	ck_assert(str_eq(rest, str_of(behind)));
}

START_TEST(test_status)
{
	expect_status("4.7.28  text ", "4.7.28", "text");
	expect_status("5.999.999", "5.999.999", "");
	expect_status("2.0.0 ", "2.0.0", "");
}

END_TEST

START_TEST(test_not_a_status)
{
	static const char *const bad[] = { "", "5", "5.1", "5.1.", "5..1",
		"3.1.1", "5.1.1x", "5.1000.1", "5.1.1000", "5.1.1.1", "51.1.1",
		"5.-1.1" };
	struct status st;
	struct str rest;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(status_parse(str_of(bad[i]), &st, &rest) == -1,
		    "%s", bad[i]);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("reply");
	TCase *tc = tcase_create("reply");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_one_line);
	tcase_add_test(tc, test_lines_are_joined);
	tcase_add_test(tc, test_short_forms);
	tcase_add_test(tc, test_not_a_reply);
	tcase_add_test(tc, test_code_must_stay);
	tcase_add_test(tc, test_status_of_another_class_is_text);
	tcase_add_test(tc, test_text_is_printable);
	tcase_add_test(tc, test_lines_bound);
	tcase_add_test(tc, test_bytes_bounds);
	tcase_add_test(tc, test_status);
	tcase_add_test(tc, test_not_a_status);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
