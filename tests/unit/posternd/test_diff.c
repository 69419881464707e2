/* What one configuration has otherwise than another, statement by
 * statement. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posternd/conf.h"
#include "posternd/diff.h"

#define COMMON                                       \
	"hostname mx.example\nlisten on 192.0.2.1\n" \
	"action out relay to \"smtp://192.0.2.9\"\n"
#define RULES "match for any action out\n"

static struct diff d;

static struct config *
parse(const char *text)
{
	struct conf_errors errors = { 0 };
	struct config *c = conf_parse_text("t", str_of(text), NULL, 0, &errors);

	for (size_t i = 0; i < errors.nerrors; i++)
		fprintf(stderr, "%s\n", errors.errors[i].text);
	ck_assert_ptr_nonnull(c);
	conf_errors_clear(&errors);
	return c;
}

static void
make(const char *now, const char *next)
{
	struct config *a = parse(now), *b = parse(next);

	diff_clear(&d);
	diff_make(a, b, &d);
	config_unref(&a);
	config_unref(&b);
}

static void
teardown(void)
{
	diff_clear(&d);
}

/* "-3 text" or "+4 text" or "~5 text", in this order. */
static void
expect(const char *const *rows)
{
	static const char signs[] = {
		[DIFF_ADDED] = '+', [DIFF_REMOVED] = '-', [DIFF_CHANGED] = '~'
	};
	size_t n = 0;

	for (; rows[n] != NULL && n < d.nrows; n++) {
		const struct diff_row *r = &d.rows[n];
		char text[8192];

		ck_assert_int_eq(strncmp(r->where, "t:", 2), 0);
		snprintf(text, sizeof(text), "%c%s %s", signs[r->sign],
		    r->where + 2, r->text);
		ck_assert_str_eq(text, rows[n]);
	}
	ck_assert_ptr_null(rows[n]);
	ck_assert_uint_eq(d.nrows, n);
	ck_assert_uint_eq(d.total, n);
}

#define EXPECT(...) expect((const char *const[]){ __VA_ARGS__ })

/* --- the same --- */

START_TEST(other_words_for_the_same)
{
	make(COMMON "limit errors 10 hops 40\n"
		    "table t { \"a\" = \"b\", \"c\" = \"d\" }\n"
		    "match for domain { \"x.example\", \"y.example\" } tag "
		    "in action out\n" RULES,
	    "# first\nm = \"y.example\"\nall = \"\\\"mx.example\\\"\"\n"
	    "hostname \"mx.example\"\n"
	    "limit {\n  hops 40\n  errors 10\n}\n"
	    "limit {}\n"
	    "listen {\n\ton 192.0.2.1\n}\n"
	    "action out {\n relay\n to { \"smtp://192.0.2.9\"\n}\n}\n"
	    "table t {\n \"c\" = \"d\"\n \"a\" = \"b\"\n}\n"
	    "match for domain { \"x.example\"\n $m\n } tag in \\\n action "
	    "out\n" RULES);
	/* A word is not a text, and a list of one is not that one. */
	EXPECT("~4 hostname \"mx.example\" (was: hostname mx.example)",
	    "~13 action out relay to { \"smtp://192.0.2.9\" } (was: action "
	    "out relay to \"smtp://192.0.2.9\")",
	    NULL);
}

END_TEST

START_TEST(nothing)
{
	make(COMMON RULES, COMMON RULES);
	EXPECT(NULL);
}

END_TEST

/* --- by name --- */

START_TEST(what_names_something)
{
	make(COMMON "milter a socket \"unix:/a\"\nmilter b socket \"unix:/b\"\n"
		    "listen on 192.0.2.2 port 587 milters { a, b }\n" RULES,
	    COMMON "milter b socket \"unix:/c\"\nmilter c socket \"unix:/c\"\n"
		   "listen port 587 on 192.0.2.2 tag x milters { b, c }\n"
		   "listen on 192.0.2.3\n" RULES);
	EXPECT("-4 milter a socket \"unix:/a\"",
	    "~4 milter b socket \"unix:/c\" (was: milter b socket "
	    "\"unix:/b\")",
	    "+5 milter c socket \"unix:/c\"",
	    "~6 listen port 587 on 192.0.2.2 tag x milters { b, c } (was: "
	    "listen on 192.0.2.2 port 587 milters { a, b })",
	    "+7 listen on 192.0.2.3", NULL);
}

END_TEST

START_TEST(options_one_by_one)
{
	make(COMMON "limit errors 10 hops 40\nqueue retry 1m 2m warn 4h\n"
		    "user \"a\" queue-user \"b\"\nlog stderr\n" RULES,
	    COMMON
	    "queue retry 1m 3m\nlimit hops 41 recipients 500\n"
	    "queue-user \"b\" user \"c\"\nlog stderr format json\n" RULES);
	EXPECT("-4 limit errors 10", "-5 queue warn 4h",
	    "~4 queue retry 1m 3m (was: queue retry 1m 2m)",
	    "~5 limit hops 41 (was: limit hops 40)", "+5 limit recipients 500",
	    "~6 user \"c\" (was: user \"a\")", "+7 log format json", NULL);
}

END_TEST

/* --- by order --- */

#define MATCH(name) "match for domain \"" name "\" action out\n"

START_TEST(rules_by_their_order)
{
	make(COMMON MATCH("a") MATCH("b") MATCH("c") MATCH("d") RULES,
	    COMMON MATCH("b") MATCH("x") MATCH("c") MATCH("a") MATCH("d")
		RULES);
	EXPECT("-4 match for domain \"a\" action out",
	    "+5 match for domain \"x\" action out",
	    "+7 match for domain \"a\" action out", NULL);
}

END_TEST

/* --- tables --- */

START_TEST(tables_by_their_entries)
{
	make(COMMON "table t { \"a\" = \"1\", \"b\" = \"2\", \"c\" = \"3\" }\n"
		    "table gone { \"a\", \"b\" }\n"
		    "table nets { 192.0.2.0/24, 192.0.3.0/24 }\n" RULES,
	    COMMON "table t { \"b\" = \"3\", \"c\" = \"3\", \"d\" = \"4\" "
		   "\"e\" = \"5\" }\ntable nets { 192.0.2.0/25 }\n"
		   "table new { \"a\" }\n" RULES);
	EXPECT("-5 table gone: 2 entries",
	    "~4 table t: 2 added, 1 removed, 1 changed",
	    "~5 table nets: 1 added, 2 removed, 0 changed",
	    "+6 table new: 1 entries", NULL);
}

END_TEST

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

START_TEST(tables_of_files)
{
	char dir[] = "/tmp/test_diff.XXXXXX", path[64], text[1024];
	struct config *a, *b;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/users", dir);
	snprintf(
	    text, sizeof(text), COMMON "table u file \"%s\"\n" RULES, path);
	write_file(path, "joe\nann\n");
	a = parse(text);
	write_file(path, "joe\neve\nbob\n");
	b = parse(text);
	diff_clear(&d);
	diff_make(a, b, &d);
	EXPECT("~4 table u: 2 added, 1 removed, 0 changed", NULL);
	config_unref(&a);
	config_unref(&b);
	unlink(path);
	rmdir(dir);
}

END_TEST

/* --- secrets --- */

/* 86 characters, of which x is the first. */
#define A17     "aaaaaaaaaaaaaaaaa"
#define HASH(x) "$6$saltsalt$" x A17 A17 A17 A17 A17

static void
make_secret(const char *now, const char *next)
{
	char a[2048], b[2048];

	snprintf(a, sizeof(a),
	    COMMON "listen on 127.0.0.1 port 587 auth %s without-tls\n" RULES,
	    now);
	snprintf(b, sizeof(b),
	    COMMON "listen on 127.0.0.1 port 587 auth %s without-tls\n" RULES,
	    next);
	make(a, b);
	for (size_t i = 0; i < d.nrows; i++)
		ck_assert_ptr_null(strstr(d.rows[i].text, "salt"));
}

START_TEST(values_are_not_shown)
{
	make_secret("{ \"joe\" = \"" HASH("x") "\" }",
	    "{ \"joe\" = \"" HASH("y") "\" }");
	EXPECT("~4 listen on 127.0.0.1 port 587 auth { \"joe\" = ... } "
	       "without-tls (in what is not shown)",
	    NULL);
	make_secret("{ \"joe\" = \"" HASH("x") "\" }",
	    "{ \"joe\" = \"" HASH("x") "\", \"ann\" = \"" HASH("z") "\" }");
	EXPECT("~4 listen on 127.0.0.1 port 587 auth { \"joe\" = ..., "
	       "\"ann\" = ... } without-tls (was: listen on 127.0.0.1 port "
	       "587 auth { \"joe\" = ... } without-tls)",
	    NULL);
}

END_TEST

/* Nor what may be said to a command; its name is. */
START_TEST(arguments_are_not_shown)
{
	make(COMMON "action a mda \"/bin/x -p secret\" user \"games\"\n"
		    "action mda mda \"/bin/y\" user \"games\"\n" RULES,
	    COMMON "action a mda \"/bin/x -p other\" user \"games\"\n"
		   "action mda {\nmda \"/bin/z -p secret\"\nuser "
		   "\"games\"\n}\n" RULES);
	EXPECT("~4 action a mda \"/bin/x...\" user \"games\" (in what is "
	       "not shown)",
	    "~5 action mda mda \"/bin/z...\" user \"games\" (was: action "
	    "mda mda \"/bin/y\" user \"games\")",
	    NULL);
}

END_TEST

START_TEST(values_of_the_vault_are_compared)
{
	make(COMMON
	    "table u { \"joe\" = \"" HASH("x") "\", \"ann\" = \"" HASH(
		"y") "\" }\nlisten on 127.0.0.1 port 587 auth u without-tls\n" RULES,
	    COMMON "table u { \"joe\" = \"" HASH("z") "\", \"ann\" = \"" HASH(
		"y") "\" }\nlisten on 127.0.0.1 port 587 auth u without-tls\n" RULES);
	EXPECT("~4 table u: 0 added, 0 removed, 1 changed", NULL);
}

END_TEST

/* --- bounds --- */

/* As many rules, of which the first has this number. */
static struct config *
many(size_t first, size_t n)
{
	struct config *c = config_new();

	c->lines = calloc(n, sizeof(*c->lines));
	ck_assert_ptr_nonnull(c->lines);
	for (c->nlines = 0; c->nlines < n; c->nlines++) {
		struct config_line *l = &c->lines[c->nlines];
		char text[32];

		snprintf(text, sizeof(text), "match %zu", first + c->nlines);
		*l = (struct config_line){ .where = strdup("t:1"),
			.name = strdup("match"),
			.text = strdup(text),
			.digest = first + c->nlines,
			.ordered = true };
	}
	return c;
}

static void
compare_many(size_t from, size_t n, size_t to, size_t m)
{
	struct config *a = many(from, n), *b = many(to, m);

	diff_clear(&d);
	diff_make(a, b, &d);
	config_unref(&a);
	config_unref(&b);
}

START_TEST(a_very_long_one)
{
	compare_many(0, 2500, 0, 2500);
	EXPECT(NULL);
	compare_many(0, 1000, 1, 1000);
	ck_assert_uint_eq(d.total, 2);
	compare_many(100, 300, 0, 2500);
	ck_assert_uint_eq(d.total, 2200);
	/* More pairs than are compared: all old ones, all new ones. */
	compare_many(0, 2500, 1, 2500);
	ck_assert_uint_eq(d.total, 5000);
	ck_assert_uint_eq(d.nrows, DIFF_ROWS_MAX + 1);
	ck_assert_str_eq(d.rows[DIFF_ROWS_MAX].text, "4000 more");
}

END_TEST

START_TEST(a_very_long_line)
{
	size_t n = 1000, size = strlen(COMMON RULES) + 100 + n * 32;
	char *a = calloc(1, size), *b, *p = a;

	p += snprintf(p, size, "%smatch for domain {", COMMON);
	for (size_t i = 0; i < n; i++)
		p +=
		    snprintf(p, size - (size_t)(p - a), " \"d%zu.example\"", i);
	snprintf(p, size - (size_t)(p - a), " } action out\n%s", RULES);
	b = strdup(a);
	*strstr(b, "d999.") = 'e';
	make(a, b);
	ck_assert_uint_eq(d.nrows, 2);
	for (size_t i = 0; i < 2; i++)
		ck_assert_uint_lt(strlen(d.rows[i].text), 2048);
	free(a);
	free(b);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { other_words_for_the_same, nothing,
		what_names_something, options_one_by_one, rules_by_their_order,
		tables_by_their_entries, tables_of_files, values_are_not_shown,
		arguments_are_not_shown, values_of_the_vault_are_compared,
		a_very_long_one, a_very_long_line };
	Suite *s = suite_create("diff");
	TCase *t = tcase_create("diff");

	tcase_add_checked_fixture(t, NULL, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
