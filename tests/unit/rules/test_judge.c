/* Which rules hold, and what becomes of the fields. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milters/rules/perform.h"
#include "milters/rules/seen.h"

static struct rules *
rules(const char *text)
{
	struct rules *r;
	struct buf errors;

	buf_init(&errors, 65536);
	r = rules_parse("f", str_of(text), &errors);
	ck_assert_msg(r != NULL, "%.*s", (int)errors.len, errors.p);
	buf_clear(&errors);
	return r;
}

static struct seen *
mail(const char *text)
{
	struct seen *s = seen_new(rules(text), 0);

	ck_assert_int_eq(addr_parse(STR("192.0.2.7"), &s->client), 0);
	seen_set(&s->helo, "mx.client.example");
	seen_from(s, "<Bob@Client.example>");
	seen_rcpt(s, "<alice@example.org>");
	seen_rcpt(s, "carol@example.org");
	seen_field(s, "Subject", "=?utf-8?q?win_a_prize?=");
	seen_field(s, "X-Spam-Flag", "YES ");
	seen_field(s, "X-Long", "a\n\tb");
	seen_field(s, "Content-Type", "multipart/mixed; boundary=b");
	mime_scan_header_end(&s->mime);
	mime_scan_body(
	    &s->mime, STR("--b\r\nContent-Type: application/x-msdownload;\r\n"
			  " name=\"evil.exe. \"\r\n\r\n--b--\r\n"));
	mime_scan_end(&s->mime);
	return s;
}

static void
holds(const char *conditions, bool want)
{
	struct buf b;
	struct seen *s;
	struct judgement j;

	buf_init(&b, 4096);
	buf_addf(&b, "match %s accept", conditions);
	buf_add_char(&b, '\0');
	s = mail(b.p);
	judge(s, &j);
	ck_assert_msg((j.decision != NULL) == want, "%s", conditions);
	judgement_clear(&j);
	seen_free(&s);
	ck_assert_ptr_null(s);
	buf_clear(&b);
}

START_TEST(test_conditions)
{
	holds("", true);
	holds("source 192.0.2.0/24", true);
	holds("source { 10.0.0.0/8, 192.0.2.7 }", true);
	holds("!source 192.0.2.0/24", false);
	holds("source 2001:db8::/32", false);
	holds("helo \"*.CLIENT.example\"", true);
	holds("helo /^client/", false);
	holds("mail-from \"bob@client.example\"", true);
	holds("mail-from \"<*\"", false);
	holds("rcpt \"carol@*\"", true);
	holds("rcpt \"dave@*\"", false);
	holds("!rcpt \"dave@*\"", true);
	holds("auth", false);
	holds("!auth", true);
	holds("header \"subject\"", true);
	holds("header \"X-None\"", false);
	holds("header \"Subject\" \"win a prize\"", true);
	holds("header \"Subject\" \"*win_a*\"", true);
	holds("header \"Subject\" \"lose*\"", false);
	holds("header \"X-Spam-*\" /^yes$/i", true);
	holds("header \"X-Long\" \"a\tb\"", true);
	holds("header { \"A\", \"X-Long\" } { \"b\", \"a*\" }", true);
	holds("larger 10", true);
	holds("larger 10K", false);
	holds("attachment \"*.exe\"", true);
	holds("attachment \"*.scr\"", false);
	holds("!attachment \"*.exe\"", false);
	holds("type \"application/*\"", true);
	holds("type \"image/*\"", false);
	holds("source 192.0.2.0/24 rcpt \"alice@*\" !helo \"x\"", true);
	holds("source 192.0.2.0/24 rcpt \"alice@*\" helo \"x\"", false);
}

END_TEST

/* What cannot be read may be what is looked for. */
START_TEST(test_ambiguous)
{
	struct seen *s = mail("match attachment \"*.scr\" discard\n");
	struct judgement j;

	judge(s, &j);
	ck_assert_ptr_null(j.decision);
	judgement_clear(&j);
	s->mime.ambiguous = true;
	judge(s, &j);
	ck_assert_ptr_nonnull(j.decision);
	judgement_clear(&j);
	seen_free(&s);
}

END_TEST

START_TEST(test_first_decides)
{
	struct seen *s = mail("match add header X-One 1\n"
			      "match helo \"no\" add header X-Two 2\n"
			      "match helo \"no\" discard\n"
			      "match rcpt \"alice*\" quarantine \"why\"\n"
			      "match add header X-Three 3\n"
			      "match reject\n");
	struct judgement j;

	judge(s, &j);
	ck_assert_uint_eq(j.decision->line, 4);
	ck_assert_uint_eq(j.n, 1);
	ck_assert_str_eq(j.edits[0]->action.name, "X-One");
	judgement_clear(&j);
	seen_free(&s);
}

END_TEST

START_TEST(test_fields)
{
	struct seen *s = mail("match remove header \"X-S*\" \"y*\"\n"
			      "match remove header \"X-Long\" \"no\"\n"
			      "match replace header a new\n"
			      "match replace header Z new\n"
			      "match replace header X-Spam-Flag no\n");
	struct field_fate fates[10] = { 0 };
	bool absent[10] = { false };
	struct judgement j;

	seen_field(s, "A", "1");
	seen_field(s, "a", "2");
	judge(s, &j);
	ck_assert_uint_eq(j.n, 5);
	plan_fields(s, &j, fates, absent);
	ck_assert(!fates[0].remove && fates[0].value == NULL);
	ck_assert(fates[1].remove);
	ck_assert(!fates[2].remove);
	ck_assert(!fates[4].remove);
	ck_assert_str_eq(fates[4].value, "new");
	ck_assert(fates[5].remove);
	ck_assert(!absent[2] && absent[3]);
	/* It was removed: the replacement is a new one. */
	ck_assert(absent[4]);
	judgement_clear(&j);
	seen_free(&s);
}

END_TEST

START_TEST(test_next_mail)
{
	struct seen *s = mail("match attachment \"*\" discard\n");
	struct judgement j;

	seen_reset(s);
	ck_assert_str_eq(s->helo, "mx.client.example");
	seen_from(s, "<>");
	ck_assert_str_eq(s->from, "");
	mime_scan_header_end(&s->mime);
	mime_scan_end(&s->mime);
	judge(s, &j);
	ck_assert_ptr_null(j.decision);
	ck_assert_uint_eq(s->nrcpts + s->nfields, 0);
	judgement_clear(&j);
	seen_free(&s);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("judge");
	TCase *tc = tcase_create("judge");
	SRunner *r;
	int failed;

	tcase_add_test(tc, test_conditions);
	tcase_add_test(tc, test_ambiguous);
	tcase_add_test(tc, test_first_decides);
	tcase_add_test(tc, test_fields);
	tcase_add_test(tc, test_next_mail);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
