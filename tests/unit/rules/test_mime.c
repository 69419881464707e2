/* Names and types of the parts of a mail, however they are written. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milters/rules/mime_scan.h"

/* Names joined by bars, a question mark behind them when there may be
 * others. */
static void
names_are(const struct mime_names *names, bool ambiguous, const char *want)
{
	struct buf b;

	buf_init(&b, 65536);
	for (size_t i = 0; i < names->n; i++)
		buf_addf(&b, "%s%s", i > 0 ? "|" : "", names->v[i]);
	if (ambiguous)
		buf_add_str(&b, STR(" ?"));
	buf_add_char(&b, '\0');
	ck_assert_str_eq(b.p, want);
	buf_clear(&b);
}

static void
param(const char *value, const char *want)
{
	struct mime_names names = { 0 };

	mime_params(str_of(value), "filename", &names, NULL);
	names_are(&names, names.ambiguous, want);
	mime_names_clear(&names);
}

START_TEST(test_plain)
{
	param("attachment", "");
	param("attachment; filename=a.exe", "a.exe");
	param("attachment; FileName = \"a b.exe\" ; size=1", "a b.exe");
	param("attachment; filename=a b.exe", "a b.exe");
	param("attachment; filename=\"a;b.exe\"", "a;b.exe");
	param("attachment; filename=\"a\\\"b.exe\"", "a\"b.exe");
	param("attachment; x=\"; filename=no\"; filename=a.exe", "a.exe");
	param("attachment; filename=a.txt; filename=b.exe", "a.txt|b.exe");
	param("attachment; filename=\"a.txt\"b.exe", "a.txtb.exe");
	param("attachment (; filename=no); filename=(x)a(y).exe", "a.exe");
	param("attachment; filename=\"(a).exe\"", "(a).exe");
	param("attachment; filename=\"a.exe", "a.exe ?");
	param("; ;filename=;filename=a.exe", "a.exe");
	param("attachment; filenames=a", "");
	param("attachment; filename=\"a\tb\"", "a\tb ?");
}

END_TEST

START_TEST(test_extended)
{
	param("x; filename*=utf-8'en'a%2eexe", "utf-8'en'a%2eexe|a.exe");
	param("x; filename*=''a.exe", "''a.exe|a.exe");
	param("x; filename*=utf-8'en'%zz", "utf-8'en'%zz|%zz ?");
	param("x; filename*=utf-16''%00a", "utf-16''%00a ?");
	param("x; filename*=a.exe", "a.exe ?");
	param("x; filename*0=a.e; filename*1=xe", "a.exe");
	param("x; filename*1=xe; filename*0=a.e", "a.exe");
	param("x; filename*0*=utf-8''%61.; filename*1=e%78e",
	    "utf-8''%61.e%78e|a.e%78e");
	param("x; filename*0*=utf-8''%61.; filename*1*=e%78e",
	    "utf-8''%61.e%78e|a.exe");
	param("x; filename*0=a.; filename*2=exe", "a.exe ?");
	param("x; filename*0=a; filename*0=b", "b ?");
	param("x; filename*100=a", "a ?");
	param("x; filename*x=a", "a ?");
}

END_TEST

START_TEST(test_words)
{
	param("x; filename=\"=?utf-8?B?YS5leGU=?=\"",
	    "=?utf-8?B?YS5leGU=?=|a.exe");
	param("x; filename=\"=?utf-8?q?a=2E?= =?utf-8*en?Q?e_xe?=\"",
	    "=?utf-8?q?a=2E?= =?utf-8*en?Q?e_xe?=|a.e xe");
	param("x; filename=\"a =?utf-8?q?b?= c\"", "a =?utf-8?q?b?= c|a b c");
	param("x; filename=\"=?utf-8?B?!!?=\"", "=?utf-8?B?!!?= ?");
	param("x; filename=\"=?utf-7?q?a?=\"", "=?utf-7?q?a?=|a ?");
	param("x; filename=\"=?utf-8?x?a?=\"", "=?utf-8?x?a?= ?");
	param("x; filename=\"=?\"", "=? ?");
}

END_TEST

static void
feed(struct mime_scan *m, const char *mail, size_t step)
{
	const char *body = strstr(mail, "\r\n\r\n");
	struct str left = str_head(str_of(mail), (size_t)(body - mail) + 2);

	mime_scan_init(m);
	while (left.len > 0) {
		size_t n = str_find(left, '\n');
		struct str line = str_head(left, n - 1);
		size_t colon = str_find(line, ':');

		mime_scan_field(
		    m, str_head(line, colon), str_skip(line, colon + 1));
		left = str_skip(left, n + 1);
	}
	mime_scan_header_end(m);
	for (left = str_of(body + 4); left.len > 0; left = str_skip(left, step))
		mime_scan_body(m, str_head(left, step));
	mime_scan_end(m);
}

static void
scan(const char *mail, const char *files, const char *types)
{
	static const size_t steps[] = { 1, 2, 7, 100000 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct mime_scan m;

		feed(&m, mail, steps[i]);
		names_are(&m.files, m.ambiguous, files);
		names_are(&m.types, false, types);
		mime_scan_clear(&m);
	}
}

#define MIXED      "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n"
#define FILE(name) "Content-Disposition: attachment; filename=" name "\r\n"

START_TEST(test_parts)
{
	scan("Subject: x\r\n\r\nhi\r\n", "", "text/plain");
	scan("Content-Type: Application/PDF; name=a.pdf\r\n\r\nx", "a.pdf",
	    "Application/PDF");
	scan("A: x\r\n" FILE("a.exe") "\r\n--b\r\n" FILE("no"), "a.exe",
	    "text/plain");
	scan(MIXED
	    "before\r\n" FILE("no") "\r\n--b\r\n" FILE("one") "\r\ntext\r\n" FILE(
		"no") "--b \t\r\n"
		      "content-type:\r\n text/x;\r\n\tname=two\r\n\r\n"
		      "--b--\r\n" FILE("no"),
	    "one|two", "multipart/mixed|text/plain|text/x");
	/* Header and nothing else. */
	scan(MIXED "--b\r\n" FILE("one") "--b\r\n" FILE("two"), "one|two",
	    "multipart/mixed|text/plain");
	scan(MIXED "--b\r\n" FILE("one") "\r\n--b--\r\n--b\r\n" FILE("no"),
	    "one", "multipart/mixed|text/plain");
	/* No CR. */
	scan(MIXED "--b\nContent-Disposition: x; filename=one\n\n--b--\n",
	    "one", "multipart/mixed|text/plain");
}

END_TEST

START_TEST(test_nested)
{
	scan(MIXED "--b\r\nContent-Type: multipart/x; boundary=bb\r\n\r\n"
		   "--bb\r\n" FILE("in") "\r\n--bb--\r\n" FILE(
		       "no") "--b\r\n" FILE("out") "\r\n",
	    "in|out", "multipart/mixed|multipart/x|text/plain");
	/* The inner one has no end. */
	scan(MIXED "--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n"
		   "--c\r\n" FILE("in") "\r\n--b\r\n" FILE(
		       "out") "\r\n--c\r\n" FILE("no") "\r\n",
	    "in|out", "multipart/mixed|multipart/x|text/plain");
	/* A message in a message. */
	scan(MIXED
	    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n"
	    "Content-Type: message/rfc822\r\n\r\n" FILE("deep") "\r\n--b--\r\n",
	    "deep", "multipart/mixed|message/rfc822|text/plain");
}

END_TEST

START_TEST(test_ambiguous)
{
	scan("Content-Type: multipart/mixed\r\n\r\n--b\r\n", " ?",
	    "multipart/mixed");
	scan("Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n",
	    " ?", "multipart/mixed");
	scan("Content-Type: text/plain\r\nContent-Type: text/x\r\n\r\n", " ?",
	    "text/plain|text/x");
	scan(MIXED "--b\r\nContent-Type: message/rfc822\r\n"
		   "Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n",
	    " ?", "multipart/mixed|message/rfc822|text/plain");
	/* Some take it for a boundary. */
	scan(MIXED "--bx\r\n" FILE("one") "\r\n", "one ?",
	    "multipart/mixed|text/plain");
	scan("A: b\r\n" FILE("\"a\r\n\r\nx"), "a ?", "text/plain");
}

END_TEST

START_TEST(test_bounds)
{
	struct mime_scan m;
	struct buf mail;

	/* Deeper than we follow: in constant room, and said so. */
	buf_init(&mail, 32 << 20);
	buf_addf(&mail, "Content-Type: multipart/x; boundary=0\r\n\r\n");
	for (int i = 1; i < 10000; i++)
		buf_addf(&mail,
		    "--%d\r\nContent-Type: multipart/x; boundary=%d\r\n\r\n",
		    i - 1, i);
	buf_add_char(&mail, '\0');
	feed(&m, mail.p, 4096);
	ck_assert(m.ambiguous);
	ck_assert_uint_eq(m.nbounds, MIME_DEPTH_MAX);
	mime_scan_clear(&m);
	/* More parts than we count, long lines, no end. */
	buf_reset(&mail);
	buf_addf(&mail, "Content-Type: multipart/x; boundary=0\r\n\r\n");
	for (int i = 0; i < MIME_PARTS_MAX + 10; i++)
		buf_addf(&mail, "--0\r\nX: %d\r\n\r\n%0999d\r\n", i, i);
	buf_add_char(&mail, '\0');
	feed(&m, mail.p, 65535);
	ck_assert(m.ambiguous);
	mime_scan_clear(&m);
	buf_reset(&mail);
	buf_addf(&mail, "Content-Type: multipart/x; boundary=0\r\n\r\n--0\r\n");
	for (int i = 0; i < 100000; i++)
		buf_addf(&mail, " x");
	buf_add_char(&mail, '\0');
	feed(&m, mail.p, 65535);
	ck_assert(m.ambiguous);
	mime_scan_clear(&m);
	buf_clear(&mail);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("mime");
	TCase *tc = tcase_create("mime");
	SRunner *r;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_plain);
	tcase_add_test(tc, test_extended);
	tcase_add_test(tc, test_words);
	tcase_add_test(tc, test_parts);
	tcase_add_test(tc, test_nested);
	tcase_add_test(tc, test_ambiguous);
	tcase_add_test(tc, test_bounds);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
