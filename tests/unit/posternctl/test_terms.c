/* The words that say which messages. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "posternctl/terms.h"

#define ID "0Kx3f9aBcDeFgHiJ"

/* Splits words at blanks; _ stands for a blank in one. */
static int
parse(struct filter *f, const char *line, bool is_change)
{
	static char copy[1024];
	static char *words[128];
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " ")) {
		for (char *p = w; (p = strchr(p, '_')) != NULL;)
			*p = ' ';
		words[n++] = w;
	}
	words[n] = NULL;
	return filter_parse(f, words, is_change);
}

/* Whether f is this one filter. */
static bool
is_filter(const struct filter *f, enum term_kind kind, bool negate,
    const char *text, uint64_t number)
{
	const struct tell_term *t = &f->terms[0];

	return f->n == 1 && t->kind == kind && t->negate == negate &&
	       str_eq(t->text, str_of(text)) && t->number == number;
}

START_TEST(one_filter)
{
	static const struct {
		const char *words;
		enum term_kind kind;
		bool negate;
		const char *text;
		uint64_t number;
	} cases[] = {
		{ "id " ID, TERM_ID, false, ID, 0 },
		{ ID, TERM_ID, false, ID, 0 },
		{ "not id " ID, TERM_ID, true, ID, 0 },
		{ "state held", TERM_STATE, false, "held", 0 },
		{ "not state active", TERM_STATE, true, "active", 0 },
		{ "state quarantined", TERM_STATE, false, "quarantined", 0 },
		{ "milter rspamd", TERM_MILTER, false, "rspamd", 0 },
		{ "not milter rspamd", TERM_MILTER, true, "rspamd", 0 },
		{ "from <>", TERM_FROM, false, "", 0 },
		{ "from <a@b.example>", TERM_FROM, false, "a@b.example", 0 },
		{ "to a@b.example", TERM_TO, false, "a@b.example", 0 },
		{ "domain example.com", TERM_DOMAIN, false, "example.com", 0 },
		{ "client 192.0.2.0/24", TERM_CLIENT, false, "192.0.2.0/24",
		    0 },
		{ "client 2001:db8::1", TERM_CLIENT, false, "2001:db8::1", 0 },
		{ "older 1h", TERM_OLDER, false, "", 3600000 },
		{ "older 1h30m", TERM_OLDER, false, "", 5400000 },
		{ "older 90", TERM_OLDER, false, "", 90000 },
		{ "larger 10M", TERM_LARGER, false, "", 10485760 },
		{ "not larger 512", TERM_LARGER, true, "", 512 },
		{ "tries 3", TERM_TRIES, false, "", 3 },
		{ "reply try_later", TERM_REPLY, false, "try later", 0 },
		{ "limit 5", TERM_LIMIT, false, "", 5 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter f;
		ck_assert_int_eq(parse(&f, cases[i].words, false), 0);
		ck_assert_msg(is_filter(&f, cases[i].kind, cases[i].negate,
				  cases[i].text, cases[i].number),
		    "%s", cases[i].words);
	}
}

END_TEST

START_TEST(several)
{
	struct filter f;

	ck_assert_int_eq(
	    parse(&f, "state deferred not from a@b limit 3", false), 0);
	ck_assert_uint_eq(f.n, 3);
	ck_assert_int_eq(parse(&f, "all", true), 0);
	ck_assert(f.all && f.n == 0);
}

END_TEST

START_TEST(words_of_a_change)
{
	struct filter f;

	ck_assert_int_eq(
	    parse(&f, "domain d --dry-run reason the_reason -y", true), 0);
	ck_assert(f.n == 1 && f.dry_run && f.yes && !f.all);
	ck_assert_str_eq(f.reason, "the reason");
	/* Of two that are not meant no message is a third. */
	ck_assert_int_eq(parse(&f, "not id a not id b id c", true), 0);
	ck_assert_uint_eq(f.n, 3);
	ck_assert(str_eq(filter_id(&f), STR("c")));
	/* What cannot be an id is one that does not exist. */
	ck_assert_int_eq(parse(&f, "nosuchid", true), 0);
	ck_assert(is_filter(&f, TERM_ID, false, "nosuchid", 0));
}

END_TEST

START_TEST(refused)
{
	static const struct {
		const char *words;
		bool is_change;
	} cases[] = {
		{ "nosuch", false },
		{ "id", false },
		{ "not", false },
		{ "not limit 3", false },
		{ "limit x", false },
		{ "limit -1", false },
		{ "state new", false },
		{ "milter", false },
		{ "client example.com", false },
		{ "older 5y", false },
		{ "older h", false },
		{ "older 1h5", false },
		{ "larger 1T", false },
		{ "larger 99999999999999999999", false },
		{ "larger 18446744073709551615G", false },
		{ "all", false },
		{ "--dry-run", false },
		{ "", true },
		{ "--dry-run", true },
		{ "all domain d", true },
		{ "not all", true },
		{ "some.thing", true },
		{ "0123456789abcdef 0123456789abcdeX", true },
		{ "id 0123456789abcdef 0123456789abcdeX", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter f;
		ck_assert_msg(
		    parse(&f, cases[i].words, cases[i].is_change) == -1,
		    "%s was taken", cases[i].words);
	}
}

END_TEST

START_TEST(too_many)
{
	struct filter f;
	struct buf line;

	buf_init(&line, 1000);
	for (int i = 0; i < FILTER_TERMS_MAX; i++)
		buf_add_str(&line, STR("tries 1 "));
	buf_add_char(&line, '\0');
	ck_assert_int_eq(parse(&f, line.p, false), 0);
	ck_assert_int_eq(filter_add(&f, TERM_STATE, STR("held")), -1);
	f.n--;
	ck_assert_int_eq(filter_add(&f, TERM_STATE, STR("held")), 0);
	ck_assert_uint_eq(f.terms[f.n - 1].kind, TERM_STATE);
	line.len--;
	buf_addf(&line, "tries 1%c", '\0');
	ck_assert_int_eq(parse(&f, line.p, false), -1);
	buf_clear(&line);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("terms");
	TCase *c = tcase_create("all");

	/* What is refused is said on stderr; here nobody reads it. */
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	tcase_add_test(c, one_filter);
	tcase_add_test(c, several);
	tcase_add_test(c, words_of_a_change);
	tcase_add_test(c, refused);
	tcase_add_test(c, too_many);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
