/* The administrator's filters, each term and its negation. */
#include "queue/filter.h"
#include "tests/unit/queue/parts.h"

static struct index ix;
static struct entry *e;

/* Does the message pass this one term? Both ways round. */
static bool
passes(enum term_kind kind, const char *text, uint64_t number)
{
	bool yes[2];

	for (uint8_t negate = 0; negate < 2; negate++) {
		struct tell_term m = { .kind = (uint8_t)kind,
			.negate = negate,
			.text = str_of(text),
			.number = number };
		struct filter f;

		filter_init(&f);
		filter_add(&f, &m);
		ck_assert(!f.bad);
		yes[negate] = filter_has(&f, e, 65000);
		filter_clear(&f);
	}
	/* With one recipient exactly one of them holds. */
	ck_assert_int_ne(yes[0], yes[1]);
	return yes[0];
}

static bool
is_bad(enum term_kind kind, const char *text)
{
	struct tell_term m = { .kind = (uint8_t)kind, .text = str_of(text) };
	struct filter f;
	bool bad;

	filter_init(&f);
	filter_add(&f, &m);
	bad = f.bad;
	filter_clear(&f);
	return bad;
}

START_TEST(each_term)
{
	index_init(&ix);
	e = part_entry(&ix, 1, 1, "Example.COM", "act");
	rcpt_set_state(&ix, &e->rcpts[0], RCPT_DEFERRED);
	rcpt_set_word(&ix, &e->rcpts[0].reply, STR("451 4.7.1 Greylisted"));
	e->rcpts[0].attempts = 3;
	ck_assert(passes(TERM_ID, "0000000000000001", 0));
	ck_assert(!passes(TERM_ID, "0000000000000002", 0));
	ck_assert(passes(TERM_STATE, "deferred", 0));
	ck_assert(!passes(TERM_STATE, "active", 0));
	ck_assert(passes(TERM_FROM, "FROM@sender.example", 0));
	ck_assert(!passes(TERM_FROM, "<>", 0));
	ck_assert(passes(TERM_TO, "r0@example.com", 0));
	ck_assert(!passes(TERM_TO, "r1@example.com", 0));
	ck_assert(passes(TERM_DOMAIN, "example.com", 0));
	ck_assert(!passes(TERM_DOMAIN, "ample.com", 0));
	ck_assert(passes(TERM_CLIENT, "192.0.2.0/24", 0));
	ck_assert(passes(TERM_CLIENT, "192.0.2.7", 0));
	ck_assert(!passes(TERM_CLIENT, "2001:db8::/32", 0));
	ck_assert(!passes(TERM_CLIENT, "local", 0));
	ck_assert(passes(TERM_OLDER, "", 59999));
	ck_assert(!passes(TERM_OLDER, "", 60000));
	ck_assert(passes(TERM_LARGER, "", 29));
	ck_assert(!passes(TERM_LARGER, "", 30));
	ck_assert(passes(TERM_TRIES, "", 3));
	ck_assert(!passes(TERM_TRIES, "", 4));
	ck_assert(passes(TERM_REPLY, "greylisted", 0));
	ck_assert(passes(TERM_REPLY, "451", 0));
	ck_assert(!passes(TERM_REPLY, "greylisted!", 0));
	index_clear(&ix);
}

END_TEST

START_TEST(terms_meet_in_one_recipient)
{
	struct tell_term to = { .kind = TERM_TO, .text = STR("r0@x") };
	struct tell_term held = { .kind = TERM_STATE, .text = STR("held") };
	struct tell_term limit = { .kind = TERM_LIMIT, .number = 4 };
	struct filter f;

	index_init(&ix);
	e = part_entry(&ix, 1, 2, "x", "act");
	rcpt_set_state(&ix, &e->rcpts[1], RCPT_HELD);
	filter_init(&f);
	filter_add(&f, &held);
	filter_add(&f, &limit);
	ck_assert_uint_eq(f.limit, 4);
	ck_assert(filter_has(&f, e, 0));
	/* One is held and the other is r0@x: none is both. */
	filter_add(&f, &to);
	ck_assert(!filter_has(&f, e, 0));
	filter_clear(&f);
	ck_assert(filter_has(&f, e, 0));
	index_clear(&ix);
}

END_TEST

START_TEST(senseless_terms)
{
	struct tell_term id = { .kind = TERM_ID, .text = STR("x") };
	struct filter f;

	ck_assert(is_bad(TERM_STATE, "asleep"));
	ck_assert(is_bad(TERM_CLIENT, "not a network"));
	filter_init(&f);
	for (int i = 0; i < FILTER_TERMS_MAX; i++)
		filter_add(&f, &id);
	ck_assert(!f.bad);
	filter_add(&f, &id);
	ck_assert(f.bad);
	filter_clear(&f);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { each_term, terms_meet_in_one_recipient,
		senseless_terms };

	return PART_RUN("filter", tests);
}
