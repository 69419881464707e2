/* What reaches the terminal, and what is JSON. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "posternctl/json.h"
#include "posternctl/text.h"

static struct buf out;

static void
setup(void)
{
	buf_init(&out, 65536);
}

static void
teardown(void)
{
	buf_clear(&out);
}

static void
expect(const char *wanted)
{
	ck_assert_msg(str_eq(buf_str(&out), str_of(wanted)),
	    "wanted \"%s\", got \"%.*s\"", wanted, (int)out.len, out.p);
	buf_reset(&out);
}

START_TEST(nothing_steers_the_terminal)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "luke@example.com", "luke@example.com" },
		{ "\033[2J", "\\x1B[2J" },
		{ "a\r\nb\tc", "a\\x0D\\x0Ab\\x09c" },
		{ "b\x7f", "b\\x7F" },
		{ "back\\slash", "back\\\\slash" },
		{ "m\xc3\xbcller", "m\xc3\xbcller" },
		{ "\xe6\x97\xa5", "\xe6\x97\xa5" },
		/* C1 CSI, as UTF-8 and raw */
		{ "\xc2\x9b"
		  "2J",
		    "\\xC2\\x9B2J" },
		{ "\x9b", "\\x9B" },
		/* overlong, cut off, surrogate */
		{ "\xc0\xaf", "\\xC0\\xAF" },
		{ "\xe6\x97", "\\xE6\\x97" },
		{ "\xed\xa0\x80", "\\xED\\xA0\\x80" },
		/* right-to-left override, zero width space, BOM */
		{ "\xe2\x80\xae", "\\xE2\\x80\\xAE" },
		{ "\xe2\x80\x8b", "\\xE2\\x80\\x8B" },
		{ "\xef\xbb\xbf", "\\xEF\\xBB\\xBF" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text_add(&out, str_of(cases[i].in));
		expect(cases[i].out);
	}
}

END_TEST

START_TEST(lines_stay_lines)
{
	text_add_lines(&out, STR("Subject: a\r\n\tb\033c\\\r\nx\ry\n"));
	expect("Subject: a\n\tb\\x1Bc\\\nx\\x0Dy\n");
	text_add_lines(&out, STR("end\r"));
	expect("end\\x0D");
}

END_TEST

START_TEST(numbers)
{
	static const struct {
		uint64_t n;
		const char *duration, *size;
	} cases[] = {
		{ 0, "0s", "0" },
		{ 119, "119s", "119" },
		{ 120, "2m", "120" },
		{ 1023, "17m", "1023" },
		{ 1024, "17m", "1.0K" },
		{ 7200, "2h", "7.0K" },
		{ 172800, "2d", "168K" },
		{ 1048575, "12d", "1023K" },
		{ 1048576, "12d", "1.0M" },
		{ UINT64_MAX, "213503982334601d", "15E" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char duration[24], size[24];
		text_duration(cases[i].n, duration);
		text_size(cases[i].n, size);
		ck_assert_msg(strcmp(duration, cases[i].duration) == 0 &&
				  strcmp(size, cases[i].size) == 0,
		    "%s %s", duration, size);
	}
}

END_TEST

START_TEST(columns)
{
	text_pad(&out, 3);
	expect("   ");
	buf_add_str(&out, STR("\xc3\xbc"));
	text_pad(&out, 3);
	expect("\xc3\xbc  ");
	buf_add_str(&out, STR("abcd"));
	text_pad(&out, 3);
	expect("abcd ");
}

END_TEST

START_TEST(wide_columns)
{
	/* Two columns each. */
	buf_add_str(&out, STR("\xe4\xb8\xad\xe6\x96\x87"));
	text_pad(&out, 6);
	expect("\xe4\xb8\xad\xe6\x96\x87  ");
	buf_add_str(&out, STR("\xff\xc3"));
	text_pad(&out, 4);
	expect("\xff\xc3  ");
}

END_TEST

static void
expect_wrapped(
    const char *text, size_t width, size_t indent, const char *wanted)
{
	text_wrap(&out, str_of(text), width, indent);
	expect(wanted);
}

START_TEST(wrapping)
{
	expect_wrapped("a line", 0, 4, "a line\n");
	expect_wrapped("a line", 6, 0, "a line\n");
	expect_wrapped("", 6, 0, "\n");
	expect_wrapped("one two three four five six", 20, 4,
	    "one two three four\n    five six\n");
	/* Where there is no blank, or one far in front. */
	expect_wrapped("aaaaaaaaaaaaaaaaaaaaaaaaa", 20, 2,
	    "aaaaaaaaaaaaaaaaaaaa\n  aaaaa\n");
	expect_wrapped("a bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 20, 0,
	    "a bbbbbbbbbbbbbbbbbb\nbbbbbbbbbbbbbbbbbb\n");
	/* A terminal that is hardly one, and a character in its last column. */
	expect_wrapped("abc", 1, 10, "a\nb\nc\n");
	expect_wrapped("\xe4\xb8\xad"
		       "b",
	    1, 0, "\xe4\n\xb8\n\xad\nb\n");
	expect_wrapped(
	    "abcdefghi\xe4\xb8\xad", 10, 0, "abcdefghi\n\xe4\xb8\xad\n");
}

END_TEST

START_TEST(sockets)
{
	text_add_socket(&out, STR("192.0.2.1"), 25);
	expect("192.0.2.1:25");
	text_add_socket(&out, STR("2001:db8::1"), 25);
	expect("[2001:db8::1]:25");
	text_add_socket(&out, STR("/a/\033"), 0);
	expect("/a/\\x1B");
}

END_TEST

START_TEST(objects)
{
	struct json j = { .out = &out };

	json_open(&j, '{');
	json_key_str(&j, "a", STR("x\"\n\xff"));
	json_key(&j, "b");
	json_open(&j, '[');
	json_number(&j, 1);
	json_number(&j, UINT64_MAX);
	json_open(&j, '{');
	json_close(&j, '}');
	json_close(&j, ']');
	json_key(&j, "c");
	json_time(&j, 0);
	json_key(&j, "d");
	json_time(&j, 1500);
	json_key(&j, "e");
	json_bool(&j, true);
	json_close(&j, '}');
	expect("{\"a\":\"x\\\"\\n\xef\xbf\xbd\",\"b\":[1,18446744073709551615,"
	       "{}],\"c\":null,\"d\":\"1970-01-01T00:00:01.500Z\",\"e\":true}");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("text");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, nothing_steers_the_terminal);
	tcase_add_test(c, lines_stay_lines);
	tcase_add_test(c, numbers);
	tcase_add_test(c, columns);
	tcase_add_test(c, wide_columns);
	tcase_add_test(c, wrapping);
	tcase_add_test(c, sockets);
	tcase_add_test(c, objects);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
