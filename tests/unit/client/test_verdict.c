/* Reply codes of filters. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "milters/client/verdict.h"

static void
good(struct str payload, bool utf8, enum milter_verdict verdict,
    const char *want)
{
	enum milter_verdict v = MILTER_ACCEPT;
	struct buf out;

	buf_init(&out, 65536);
	ck_assert_int_eq(verdict_parse(payload, utf8, &out, &v), 0);
	ck_assert_int_eq(v, verdict);
	buf_add_char(&out, '\0');
	ck_assert_str_eq(out.p, want);
	buf_clear(&out);
}

static void
bad(struct str payload)
{
	enum milter_verdict v;
	struct buf out;

	buf_init(&out, 65536);
	ck_assert_msg(verdict_parse(payload, false, &out, &v) == -1, "%.*s",
	    (int)payload.len, payload.p);
	ck_assert_uint_eq(out.len, 0);
	buf_clear(&out);
}

START_TEST(test_good)
{
	good(STR("550 5.7.1 virus Local.Eicar.UNOFFICIAL found\0"), false,
	    MILTER_REJECT, "550 5.7.1 virus Local.Eicar.UNOFFICIAL found");
	/* Without its NUL. */
	good(STR("451 4.7.1 later"), false, MILTER_TEMPFAIL, "451 4.7.1 later");
	good(STR("421 4.3.2 go\0"), false, MILTER_SHUTDOWN, "421 4.3.2 go");
	/* What has no enhanced code gets one. */
	good(STR("554 no\0"), false, MILTER_REJECT, "554 5.7.1 no");
	good(STR("450 no\0"), false, MILTER_TEMPFAIL, "450 4.7.1 no");
	good(STR("550 4 horses\0"), false, MILTER_REJECT, "550 5.7.1 4 horses");
	good(STR("550 5.7 of them\0"), false, MILTER_REJECT,
	    "550 5.7.1 5.7 of them");
	/* Nothing but the code. */
	good(STR("550 \0"), false, MILTER_REJECT, "550 5.7.1");
	good(STR("550 5.1.1\0"), false, MILTER_REJECT, "550 5.1.1");
	/* Per cent signs. */
	good(STR("550 5.7.9 100%% and 5% of%%%\0"), false, MILTER_REJECT,
	    "550 5.7.9 100% and 5 of%");
	good(STR("550-5.7.9 first line\r\n550 5.7.9 second 100%% line\0"),
	    false, MILTER_REJECT,
	    "550-5.7.9 first line\r\n550 5.7.9 second 100% line");
	good(STR("550-5.1.9 first\r\n550-\r\n550 last\0"), false, MILTER_REJECT,
	    "550-5.1.9 first\r\n550-5.1.9\r\n550 5.1.9 last");
}

END_TEST

START_TEST(test_bytes)
{
	good(STR("550 5.7.1 gr\xc3\xbc\xc3\x9f\x65\0"), true, MILTER_REJECT,
	    "550 5.7.1 gr\xc3\xbc\xc3\x9f\x65");
	good(STR("550 5.7.1 gr\xc3\xbc\x65\0"), false, MILTER_REJECT,
	    "550 5.7.1 gr??e");
	good(STR("550 5.7.1 \xff\xc3\0"), true, MILTER_REJECT, "550 5.7.1 ??");
	good(STR("550 5.7.1 a\x01\x7f\x1b[2Jb\tc\0"), false, MILTER_REJECT,
	    "550 5.7.1 a???[2Jb\tc");
}

END_TEST

START_TEST(test_bad)
{
	static const char *const texts[] = { "", "5", "550", "200 2.0.0 fine",
		"354 go", "650 x", "5x0 no", "550_no", "550-no",
		"550 4.7.1 contradicts", "450 5.7.1 so", "550 2.0.0 so",
		"550 no\r\n", "550 no\n", "550 no\r", "550-a\r\n551 b",
		"550-a\n550 b", "550 a\r\n550 b", "550-a\r\n550-b",
		"550-a\r\n\r\n550 b", "550-a\rb\r\n550 c", "550-a\r\n550",
		"\r\n550 a", "550-5.7.1 a\r\n550 4.7.1 b" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		bad((struct str){ texts[i], strlen(texts[i]) + 1 });
	bad(STR(""));
	bad(STR("550 a\0b\0"));
	bad(STR("550 a\0\0"));
}

END_TEST

static void
add_lines(struct buf *b, int n)
{
	for (int i = 1; i <= n; i++)
		buf_addf(b, "550%c5.7.1 line %d%s", i < n ? '-' : ' ', i,
		    i < n ? "\r\n" : "");
}

START_TEST(test_limits)
{
	enum milter_verdict v;
	struct buf in, out;

	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	add_lines(&in, 32);
	ck_assert_int_eq(verdict_parse(buf_str(&in), false, &out, &v), 0);
	ck_assert(str_eq(buf_str(&in), buf_str(&out)));
	buf_reset(&in);
	buf_reset(&out);
	add_lines(&in, 33);
	ck_assert_int_eq(verdict_parse(buf_str(&in), false, &out, &v), -1);
	/* Long lines are cut, between characters. */
	buf_reset(&in);
	buf_add_str(&in, STR("550-5.7.1 "));
	for (int i = 0; i < 5000; i++)
		buf_add_str(&in, STR("\xc3\xbc"));
	buf_add_str(&in, STR("\r\n550 5.7.1 x"));
	for (int i = 0; i < 5000; i++)
		buf_add_str(&in, STR("\xc3\xbc"));
	buf_add_char(&in, '\0');
	ck_assert_int_eq(verdict_parse(buf_str(&in), true, &out, &v), 0);
	/* 10 and 250 of two bytes; 11 and 249 of them. */
	ck_assert_uint_eq(out.len, 510 + 2 + 509);
	ck_assert_uint_eq(str_find(buf_str(&out), '\r'), 510);
	/* No room for the reply. */
	out.max = 100;
	buf_reset(&out);
	ck_assert_int_eq(verdict_parse(buf_str(&in), true, &out, &v), -1);
	buf_clear(&in);
	buf_clear(&out);
}

END_TEST

START_TEST(test_defaults)
{
	for (enum milter_verdict v = MILTER_ACCEPT; v <= MILTER_SHUTDOWN; v++) {
		const char *text = verdict_default(v);

		if (v < MILTER_TEMPFAIL)
			ck_assert_ptr_null(text);
		else
			good((struct str){ text, strlen(text) + 1 }, false, v,
			    text);
	}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("verdict");
	TCase *tc = tcase_create("verdict");
	SRunner *r;
	int failed;

	tcase_add_test(tc, test_good);
	tcase_add_test(tc, test_bytes);
	tcase_add_test(tc, test_bad);
	tcase_add_test(tc, test_limits);
	tcase_add_test(tc, test_defaults);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
