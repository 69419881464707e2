/* The rule file: what it means, and every mistake with its line. */
#include <check.h>
#include <libmilter/mfapi.h>
#include <stdlib.h>
#include <string.h>

#include "milters/rules/rule.h"

static struct rules *
good(const char *text)
{
	struct rules *r;
	struct buf errors;

	buf_init(&errors, 65536);
	r = rules_parse("f", str_of(text), &errors);
	ck_assert_msg(r != NULL, "%.*s", (int)errors.len, errors.p);
	ck_assert_uint_eq(errors.len, 0);
	buf_clear(&errors);
	return r;
}

static void
bad(const char *text, const char *want)
{
	struct rules *r;
	struct buf errors;

	buf_init(&errors, 65536);
	r = rules_parse("f", str_of(text), &errors);
	ck_assert_msg(r == NULL, "%s", text);
	buf_add_char(&errors, '\0');
	ck_assert_str_eq(errors.p, want);
	buf_clear(&errors);
}

START_TEST(test_empty)
{
	struct rules *r = good("");

	ck_assert_uint_eq(r->n, 0);
	ck_assert_uint_eq(r->acts, 0);
	rules_unref(&r);
	ck_assert_ptr_null(r);
	r = good("# a comment\n\n   \t\n# another");
	ck_assert_uint_eq(r->n, 0);
	rules_unref(&r);
}

END_TEST

START_TEST(test_rules)
{
	struct rules *r =
	    good("match accept\r\n"
		 "match !source { 192.0.2.0/24, ::1 } helo \"*.example\" "
		 "discard # so\n"
		 "match larger 10M reject \"552 5.3.4 100% too large\"\n"
		 "match header \"Subject\" /a\\/b/ tempfail\n"
		 "match header \"X-*\" { \"a\", /b/i } quarantine \"why\"\n");
	const struct rule *rule;

	rule = &r->rules[1];
	ck_assert_uint_eq(rule->line, 2);
	ck_assert_uint_eq(rule->n, 2);
	ck_assert(rule->conditions[0].negated);
	ck_assert_uint_eq(rule->conditions[0].nnets, 2);
	ck_assert(!rule->conditions[1].negated);
	ck_assert_int_eq(rule->action.kind, DO_DISCARD);
	rule = &r->rules[2];
	ck_assert_uint_eq(rule->conditions[0].size, 10 << 20);
	ck_assert_str_eq(rule->action.code, "552");
	ck_assert_str_eq(rule->action.status, "5.3.4");
	ck_assert_str_eq(rule->action.text, "100%% too large");
	rule = &r->rules[3];
	ck_assert_str_eq(rule->action.code, "451");
	ck_assert(patterns_match(&rule->conditions[0].patterns, "xa/by"));
	rule = &r->rules[4];
	ck_assert_uint_eq(rule->conditions[0].patterns.n, 2);
	ck_assert_str_eq(rule->action.value, "why");
	ck_assert_uint_eq(r->acts, SMFIF_QUARANTINE);
	ck_assert(r->wants_body);
	rules_unref(&r);
}

END_TEST

START_TEST(test_edits)
{
	struct rules *r =
	    good("match add header \"X-A\" \"a \\\"b\\\" \\\\\"\n"
		 "match add header X-B b\n"
		 "match insert header X-C c\n"
		 "match insert header 1 X-D d\n"
		 "match remove header { \"X-*\", \"Y\" } \"*bad*\"\n"
		 "match replace header Subject new\n"
		 "match add rcpt New@Example.ORG\n"
		 "match delete rcpt \"*@old.example\"\n"
		 "match change sender \"<>\"\n");

	ck_assert_uint_eq(r->n, 9);
	ck_assert_str_eq(r->rules[0].action.value, "a \"b\" \\");
	ck_assert_int_eq(r->rules[2].action.index, 0);
	ck_assert_int_eq(r->rules[3].action.index, 1);
	ck_assert_uint_eq(r->rules[4].action.names.n, 2);
	ck_assert_str_eq(r->rules[6].action.value, "<New@example.org>");
	ck_assert_str_eq(r->rules[8].action.value, "<>");
	ck_assert(!r->wants_body);
	ck_assert_uint_eq(r->acts, SMFIF_ADDHDRS | SMFIF_CHGHDRS |
				       SMFIF_ADDRCPT | SMFIF_DELRCPT |
				       SMFIF_CHGFROM);
	for (size_t i = 0; i < r->n; i++)
		ck_assert(!action_decides(&r->rules[i].action));
	rules_unref(&r);
}

END_TEST

START_TEST(test_mistakes)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "mach accept", "f:1: a rule begins with match\n" },
		{ "\"match\" accept", "f:1: a rule begins with match\n" },
		{ "match", "f:1: no action\n" },
		{ "match foo", "f:1: unknown: foo\n" },
		{ "match add", "f:1: unknown: add\n" },
		{ "match add footer x", "f:1: unknown: add\n" },
		{ "match accept now", "f:1: too much: now\n" },
		{ "match ! accept", "f:1: no condition behind !\n" },
		{ "match helo", "f:1: a pattern in quotes or slashes is "
				"missing\n" },
		{ "match helo mx accept",
		    "f:1: a pattern in quotes or slashes is missing\n" },
		{ "match helo { } accept",
		    "f:1: a pattern in quotes or slashes is missing\n" },
		{ "match helo { \"a\" \"b\" } accept",
		    "f:1: a list needs , or } here\n" },
		{ "match helo { \"a\", accept",
		    "f:1: a pattern in quotes or slashes is missing\n" },
		{ "match helo \"a accept", "f:1: text without its end\n" },
		{ "match helo /a", "f:1: text without its end\n" },
		{ "match source 192.0.2.1/24 accept",
		    "f:1: not a network: 192.0.2.1/24\n" },
		{ "match larger accept", "f:1: not a size: accept\n" },
		{ "match larger 99999999999G accept",
		    "f:1: not a size: 99999999999G\n" },
		{ "match larger M accept", "f:1: not a size: M\n" },
		{ "match reject \"450 no\"",
		    "f:1: the reply has to be \"5xx x.y.z text\"\n" },
		{ "match tempfail \"550 no\"",
		    "f:1: the reply has to be \"4xx x.y.z text\"\n" },
		{ "match reject \"550 4.7.1 no\"",
		    "f:1: the reply's codes contradict\n" },
		{ "match reject \"550 gr\xc3\xbc\xc3\x9f\x65\"",
		    "f:1: the reply has to be printable ASCII\n" },
		{ "match quarantine", "f:1: the reason is missing\n" },
		{ "match quarantine \"\"", "f:1: the reason has to be text\n" },
		{ "match add header", "f:1: the header field's name is "
				      "missing\n" },
		{ "match add header \"A B\" c",
		    "f:1: not a header field's name: A B\n" },
		{ "match add header A", "f:1: the header field's value is "
					"missing\n" },
		{ "match insert header 1001 A b", "f:1: not an index: 1001\n" },
		{ "match add rcpt \"a@b.example, c@d.example\"",
		    "f:1: not an address: a@b.example, c@d.example\n" },
		{ "match add rcpt \"<>\"", "f:1: not an address: <>\n" },
		/* All of them are told. */
		{ "match a\nmatch accept\nmatch b\n",
		    "f:1: unknown: a\nf:3: unknown: b\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		bad(cases[i].text, cases[i].want);
}

END_TEST

START_TEST(test_refs)
{
	struct rules *a = good("match accept"), *b = rules_ref(a);

	rules_unref(&a);
	ck_assert_uint_eq(b->n, 1);
	rules_unref(&b);
}

END_TEST

START_TEST(test_glob)
{
	char stars[2001], text[2001];

	ck_assert(glob_match("", ""));
	ck_assert(!glob_match("", "a"));
	ck_assert(glob_match("*", ""));
	ck_assert(glob_match("*.EXE", "evil.exe"));
	ck_assert(!glob_match("*.exe", "evil.exe.txt"));
	ck_assert(glob_match("a?c*", "abc"));
	ck_assert(!glob_match("a?c", "ac"));
	ck_assert(glob_match("*ab*ab*", "xabyaab"));
	ck_assert(!glob_match("*ab*ab", "xabya"));
	ck_assert(glob_match("a**b", "ab"));
	/* Not a matter of hours. */
	for (size_t i = 0; i < 2000; i++) {
		stars[i] = i % 2 == 0 ? '*' : 'a';
		text[i] = 'a';
	}
	stars[1999] = 'b';
	stars[2000] = text[2000] = '\0';
	ck_assert(!glob_match(stars, text));
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("rule_file");
	TCase *tc = tcase_create("rule_file");
	SRunner *r;
	int failed;

	tcase_add_test(tc, test_empty);
	tcase_add_test(tc, test_rules);
	tcase_add_test(tc, test_edits);
	tcase_add_test(tc, test_mistakes);
	tcase_add_test(tc, test_refs);
	tcase_add_test(tc, test_glob);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
