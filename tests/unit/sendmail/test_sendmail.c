/* Lists, names, lines and options, where a whole gateway would be too much. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sendmail/letter.h"
#include "sendmail/options.h"
#include "sendmail/phrase.h"
#include "sendmail/reading.h"

static int
join(void *ctx, struct str address, const char *end)
{
	struct buf *out = ctx;

	(void)end;
	buf_add_char(out, '[');
	buf_add_str(out, address);
	buf_add_char(out, ']');
	return 0;
}

START_TEST(lists)
{
	static const struct {
		const char *list, *want, *why;
	} cases[] = {
		{ "", "", NULL },
		{ " , ,\r\n ", "", NULL },
		{ "a@b", "[a@b]", NULL },
		{ "a@b,c@d", "[a@b][c@d]", NULL },
		{ "A B <a@b>, \"C, <d>\" <e@f> (g)", "[a@b][e@f]", NULL },
		{ "<>", "[]", NULL },
		{ "a (comment (within \\) another)) , b", "[a][b]", NULL },
		{ "a . b @ c (x) . d", "[a.b@c.d]", NULL },
		{ "\"a b\"@c, \"a\\\"b\"@c", "[\"a b\"@c][\"a\\\"b\"@c]",
		    NULL },
		{ "\"a\r\n b\"@c", "[\"a b\"@c]", NULL },
		{ "a@[1.2.3.4], a@[IPv6:::1]", "[a@[1.2.3.4]][a@[IPv6:::1]]",
		    NULL },
		{ "<@a,@b:c@d>", "[@a,@b:c@d]", NULL },
		{ "g: a@b, c@d; , e@f", "[a@b][c@d][e@f]", NULL },
		{ "none:;", "", NULL },
		{ "A\tB\r\n <a@b>", "[a@b]", NULL },
		{ "<a@b> trailing", "[a@b]", NULL },
		{ "a b", "", "a comma is missing between two addresses" },
		{ "x@y, a@b c@d", "[x@y]",
		    "a comma is missing between two addresses" },
		{ "<a b@c>", "", "a blank within an address" },
		{ "<a@b", "", "a < without its >" },
		{ "a@b>", "", "a > without its <" },
		{ "<a@b> <c@d>", "", "a < too many" },
		{ "(a@b", "", "a comment without its end" },
		{ "a)", "", "a ) without its (" },
		{ "\"a@b", "", "a \" without its end" },
		{ "a@[1.2", "", "a [ without its ]" },
		{ "a@b;", "[a@b]", "a ; without a group" },
		{ "a@b:c@d", "", "a : where none may stand" },
		{ "g: h: a@b;;", "", "a : where none may stand" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out;
		buf_init(&out, 4096);
		const char *why =
		    address_list(str_of(cases[i].list), join, &out);
		buf_add_char(&out, '\0');
		ck_assert_msg(strcmp(out.p, cases[i].want) == 0, "%s: %s",
		    cases[i].list, out.p);
		ck_assert_pstr_eq(why, cases[i].why);
		buf_clear(&out);
	}
}

END_TEST

START_TEST(no_address_without_bound)
{
	struct buf list, out;

	buf_init(&list, SIZE_MAX / 2);
	buf_init(&out, SIZE_MAX / 2);
	for (int i = 0; i < 100000; i++)
		buf_add_str(&list, STR("(x"));
	ck_assert_str_eq(address_list(buf_str(&list), join, &out),
	    "a comment without its end");
	buf_reset(&list);
	for (int i = 0; i < 100000; i++)
		buf_add_char(&list, 'x');
	ck_assert_str_eq(
	    address_list(buf_str(&list), join, &out), "an address is too long");
	ck_assert_uint_eq(out.len, 0);
	buf_clear(&list);
	buf_clear(&out);
}

END_TEST

static void
read_as(const char *text, bool dot_ends, struct buf *out)
{
	struct reading r;

	reading_init(&r, out, dot_ends);
	/* Byte for byte, so that nothing is seen together. */
	for (const char *p = text; *p != '\0'; p++)
		reading_feed(&r, (struct str){ p, 1 });
	reading_end(&r);
	buf_add_char(out, '\0');
}

START_TEST(lines)
{
	static const struct {
		const char *text, *dot_ends, *dot_stays;
	} cases[] = {
		{ "", "", "" },
		{ ".", "", "." },
		{ ".\n", "", ".\r\n" },
		{ "a\n.\nb\n", "a\r\n", "a\r\n.\r\nb\r\n" },
		{ "a\r.\rb", "a\r\n", "a\r\n.\r\nb" },
		{ "a\r\r\nb\r\n", "a\r\nb\r\n", "a\r\nb\r\n" },
		{ "a\r\rb\n", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n" },
		{ "..\n .\n. \n", "..\r\n .\r\n. \r\n", "..\r\n .\r\n. \r\n" },
		{ "a\r", "a\r\n", "a\r\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out;
		buf_init(&out, 4096);
		read_as(cases[i].text, true, &out);
		ck_assert_str_eq(out.p, cases[i].dot_ends);
		buf_reset(&out);
		read_as(cases[i].text, false, &out);
		ck_assert_str_eq(out.p, cases[i].dot_stays);
		buf_clear(&out);
	}
}

END_TEST

START_TEST(nul)
{
	struct reading r;
	struct buf out;

	buf_init(&out, 4096);
	reading_init(&r, &out, false);
	reading_feed(&r, STR("a\0b\n\0"));
	reading_end(&r);
	ck_assert(str_eq(buf_str(&out), STR("ab\r\n")));
	buf_clear(&out);
}

END_TEST

START_TEST(phrases)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "Luke", "Luke" },
		{ "Luke S", "Luke S" },
		{ "Luke  S", "\"Luke  S\"" },
		{ "S., L.", "\"S., L.\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "=?x?q?y?=", "\"=?x?q?y?=\"" },
		{ "\tx\r\n", "x" },
		{ "\xc3\xbc", "=?UTF-8?Q?=C3=BC?=" },
		{ "\xfc.", "=?ISO-8859-1?Q?=FC=2E?=" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out;
		buf_init(&out, 4096);
		phrase_add(&out, str_of(cases[i][0]));
		buf_add_char(&out, '\0');
		ck_assert_str_eq(out.p, cases[i][1]);
		buf_clear(&out);
	}
}

END_TEST

START_TEST(long_names_fold)
{
	struct buf name, out;
	struct str rest;

	buf_init(&name, 4096);
	buf_init(&out, 65536);
	for (int i = 0; i < 300; i++)
		buf_add_str(&name, STR("\xe2\x82\xac"));
	buf_add_str(&out, STR("Resent-From: "));
	phrase_add(&out, buf_str(&name));
	for (rest = buf_str(&out); rest.len > 0;) {
		struct str line = str_cut(&rest, '\n');
		/* With its CR: 76 columns (RFC 2047 2). */
		ck_assert_uint_le(line.len, 77);
		/* Whole characters only. */
		ck_assert_ptr_nonnull(
		    memmem(line.p, line.len, "=?UTF-8?Q?=E2", 13));
	}
	buf_clear(&name);
	buf_clear(&out);
}

END_TEST

START_TEST(options)
{
	char name[] = "/usr/sbin/sendmail", t[] = "-ti", f[] = "-fa@b",
	     n[] = "-N", wish[] = "success, delay", q[] = "-q1h", to[] = "-x@y",
	     end[] = "--", one[] = "mailq";
	char *argv[] = { name, t, f, n, wish, q, end, to, NULL };
	char *list[] = { one, NULL };
	struct options o;

	ck_assert_int_eq(options_parse(&o, 8, argv), 0);
	ck_assert_int_eq(o.mode, MODE_MAIL);
	ck_assert(o.take_header && o.dots && !o.verbose);
	ck_assert_str_eq(o.from, "a@b");
	ck_assert(str_eq(buf_str(&o.notify), STR("SUCCESS,DELAY")));
	ck_assert_str_eq(o.to[0], "-x@y");
	ck_assert_ptr_null(o.to[1]);
	options_clear(&o);
	optind = 0;
	ck_assert_int_eq(options_parse(&o, 1, list), 0);
	ck_assert_int_eq(o.mode, MODE_LIST);
	options_clear(&o);
}

END_TEST

int
main(void)
{
	Suite *suite = suite_create("sendmail");
	TCase *tc = tcase_create("sendmail");

	tcase_add_test(tc, lists);
	tcase_add_test(tc, no_address_without_bound);
	tcase_add_test(tc, lines);
	tcase_add_test(tc, nul);
	tcase_add_test(tc, phrases);
	tcase_add_test(tc, long_names_fold);
	tcase_add_test(tc, options);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
