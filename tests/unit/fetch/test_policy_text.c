/* What a domain publishes: the policy, and the record that announces it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/policy_text.h"

#define V "version: STSv1\n"

static const struct {
	const char *text, *mxs;
	enum sts_mode mode;
	uint32_t max_age_s;
} good[] = {
	{ V "mode: enforce\nmx: mail.example.com\nmx: *.example.net\n"
	    "mx: backupmx.example.com\nmax_age: 604800\n",
	    "mail.example.com *.example.net backupmx.example.com", STS_ENFORCE,
	    604800 },
	{ "version: STSv1\r\nmode: testing\r\nmx: a.example\r\n"
	  "max_age: 1\r\n",
	    "a.example", STS_TESTING, 1 },
	/* Without an end, in any order, blanks where they may be. */
	{ "max_age:10 \nmx:\tA.Example\t\nmode:enforce\nversion:STSv1",
	    "a.example", STS_ENFORCE, 10 },
	{ V "mode: none\nmax_age: 0\n", "", STS_NONE, 0 },
	/* The first of each counts; of mx all. */
	{ V "mode: enforce\nmode: none\nmax_age: 5\nmax_age: x\n"
	    "version: STSv9\nmx: a.example\n",
	    "a.example", STS_ENFORCE, 5 },
	{ V "x-new: \xc3\xbc\nq._-1: \nmode: none\nmax_age: 7\n", "", STS_NONE,
	    7 },
	{ V "\nmode: none\n\n\nmax_age: 7\n\n", "", STS_NONE, 7 },
	/* A year is the most. */
	{ V "mode: none\nmax_age: 31557600\n", "", STS_NONE, 31557600 },
	{ V "mode: none\nmax_age: 31557601\n", "", STS_NONE, 31557600 },
	{ V "mode: none\nmax_age: 9999999999\n", "", STS_NONE, 31557600 },
};

START_TEST(test_good)
{
	struct policy_text p;
	struct fault why = { 0 };

	ck_assert_msg(policy_text_parse(str_of(good[_i].text), &p, &why) == 0,
	    "%s: %s", good[_i].text, why.text);
	ck_assert_int_eq(p.mode, good[_i].mode);
	ck_assert_uint_eq(p.max_age_s, good[_i].max_age_s);
	ck_assert(str_eq(buf_str(&p.mxs), str_of(good[_i].mxs)));
	policy_text_clear(&p);
}

END_TEST

#define M "mode: enforce\nmx: a.example\nmax_age: 60\n"

static const char *const bad[] = {
	"", "\n", "hello", M, /* no version */
	"version: STSv2\n" M, "version: stsv1\n" M,
	"Version: STSv1\n" M, /* an extension, then */
	"version STSv1\n" M, V "mx: a.example\nmax_age: 60\n",
	V "mode: enforced\nmx: a.example\nmax_age: 60\n",
	V "mode: Enforce\nmx: a.example\nmax_age: 60\n",
	V "mode: enforce\nmax_age: 60\n", /* no mx */
	V "mode: testing\nmax_age: 60\n", V "mode: enforce\nmx: a.example\n",
	V "mode: enforce\nmx: a.example\nmax_age:\n",
	V "mode: enforce\nmx: a.example\nmax_age: -1\n",
	V "mode: enforce\nmx: a.example\nmax_age: +1\n",
	V "mode: enforce\nmx: a.example\nmax_age: 0x10\n",
	V "mode: enforce\nmx: a.example\nmax_age: 1 2\n",
	V "mode: enforce\nmx: a.example\nmax_age: 12345678901\n", V M "mx:\n",
	V M "mx: *.\n", V M "mx: *\n", V M "mx: a.*.example\n",
	V M "mx: *.*.example\n", V M "mx: a b\n", V M "mx: -a.example\n",
	V M "mx: b\xc3\xbc.example\n", V M "mx: .example\n", V M "a line\n",
	V M ": x\n", V M "-x: y\n", V M "x y: z\n",
	V M "a23456789012345678901234567890123: y\n", /* 33 */
};

START_TEST(test_bad)
{
	struct policy_text p;
	struct fault why = { 0 };

	ck_assert_msg(
	    policy_text_parse(str_of(bad[_i]), &p, &why) == -1, "%s", bad[_i]);
	ck_assert_str_ne(why.text, "");
}

END_TEST

START_TEST(test_nul)
{
	static const char text[] = V "mode: none\0\nmax_age: 60\n";
	struct policy_text p;

	ck_assert_int_eq(
	    policy_text_parse((struct str){ text, sizeof(text) - 1 }, &p, NULL),
	    -1);
}

END_TEST

/* More than delivery could be told. */
START_TEST(test_many)
{
	struct buf text;
	struct policy_text p;

	buf_init(&text, 65536);
	buf_addf(&text, V "mode: enforce\nmax_age: 60\n");
	for (int i = 0; i < 241; i++) /* 17 bytes each, with the blank */
		buf_addf(&text, "mx: mx%04d.example.x\n", i);
	ck_assert_int_eq(policy_text_parse(buf_str(&text), &p, NULL), 0);
	ck_assert_uint_eq(p.mxs.len, 241 * 17 - 1);
	policy_text_clear(&p);
	buf_addf(&text, "mx: mx.example\n");
	ck_assert_int_eq(policy_text_parse(buf_str(&text), &p, NULL), -1);
	buf_clear(&text);
}

END_TEST

static const struct {
	const char *texts[3];
	const char *id;
} records[] = {
	{ { "v=STSv1; id=20160831085700Z;" }, "20160831085700Z" },
	{ { "v=STSv1;id=a" }, "a" },
	{ { "v=STSv1 ; id=1 ;\t" }, "1" },
	{ { "v=STSv1\t;id=1" }, "1" },
	{ { "v=STSv1; x=y; id=1; _=1" }, "" }, /* no key */
	{ { "v=STSv1; x=y%z; id=1; id=2;" }, "1" },
	{ { "v=STSv1; id=12345678901234567890123456789012;" },
	    "12345678901234567890123456789012" },
	{ { "v=STSv1; id=123456789012345678901234567890123;" }, "" },
	{ { "v=STSv1" }, "" },
	{ { "v=STSv1;" }, "" },
	{ { "v=STSv1; id=;" }, "" },
	{ { "v=STSv1; id=1-2;" }, "" },
	{ { "v=STSv1; id=1;; x=y" }, "" },
	{ { "v=STSv1; id=1; x=;" }, "" },
	{ { "v=STSv1; id=1; x=a b;" }, "" },
	{ { "v=STSv1; id=1; x=a=b;" }, "" },
	{ { "v=STSv1; id" }, "" },
	{ { "v=STSv10; id=1" }, "" },
	{ { "v=stsv1; id=1" }, "" },
	{ { " v=STSv1; id=1" }, "" },
	{ { "id=1; v=STSv1" }, "" },
	{ { "" }, "" },
	{ { "v=spf1 -all", "v=STSv1; id=2", "x" }, "2" },
	{ { "v=STSv1; id=1", "v=STSv1; id=1" }, "" },
	{ { "v=STSv1; id=1", "v=STSv1; nonsense" }, "" },
	{ { NULL }, "" },
};

START_TEST(test_record)
{
	char *texts[3];
	size_t n = 0;

	for (; n < 3 && records[_i].texts[n] != NULL; n++)
		texts[n] = str_dup(str_of(records[_i].texts[n]));
	struct str id = policy_record_id(texts, n);
	ck_assert_msg(str_eq(id, str_of(records[_i].id)), "%s: %.*s",
	    n > 0 ? texts[0] : "", (int)id.len, id.p);
	while (n > 0)
		free(texts[--n]);
}

END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int
main(void)
{
	Suite *s = suite_create("policy_text");
	TCase *tc = tcase_create("policy_text");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(tc, test_good, 0, COUNT(good));
	tcase_add_loop_test(tc, test_bad, 0, COUNT(bad));
	tcase_add_test(tc, test_nul);
	tcase_add_test(tc, test_many);
	tcase_add_loop_test(tc, test_record, 0, COUNT(records));
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
