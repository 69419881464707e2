/* Whether the name servers validate, and what follows from it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "resolver/query.h"
#include "resolver/validation.h"
#include "tests/unit/resolver/nameserver.h"

enum { LOOK_MS = 5 };

static struct loop *loop;
static struct nameserver ns[2];
static struct timer *ticker;
static enum validation awaited;

/* clang-format off */
static const struct ns_record good[] = {
	{ "", DNS_NS, "a.root", 0, NS_AD },
	{ "signed.example", DNS_A, "192.0.2.1", 0, NS_AD },
	{ "bogus.example", DNS_A, NULL, 0, NS_SERVFAIL },
	{ "refused.example", DNS_A, NULL, 0, NS_REFUSED },
	{ "sick.example", DNS_NS, NULL, 0, NS_SERVFAIL },
	{ NULL, 0, NULL, 0, 0 },
};

/* Says AD, and checks nothing. */
static const struct ns_record liar[] = {
	{ "", DNS_NS, "a.root", 0, NS_AD },
	{ "bogus.example", DNS_A, "192.0.2.1", 0, NS_AD },
	{ NULL, 0, NULL, 0, 0 },
};

static const struct ns_record plain[] = {
	{ "", DNS_NS, "a.root", 0, 0 },
	{ "bogus.example", DNS_A, NULL, 0, NS_SERVFAIL },
	{ NULL, 0, NULL, 0, 0 },
};

/* clang-format on */

static void
on_tick(void *ctx)
{
	(void)ctx;
	if (validation_get() == awaited)
		loop_stop(loop);
	timer_set(ticker, LOOK_MS);
}

/* Runs until it is said. */
static void
await(enum validation state)
{
	awaited = state;
	timer_set(ticker, 0);
	loop_run(loop);
	ck_assert_int_eq(validation_get(), state);
	ck_assert_uint_eq(
	    validation_counters()[0].value, state == VALIDATION_ON);
	ck_assert_int_eq(validation_allows_dane(),
	    state == VALIDATION_ON || state == VALIDATION_UNKNOWN);
}

/* The first n, with these names. */
static void
use(size_t n, const char *signed_name, const char *bogus_name)
{
	struct config *c = config_new();

	for (size_t i = 0; i < n; i++)
		c->servers[i] = ns[i].address;
	c->nservers = n;
	c->dnssec_signed = signed_name == NULL ? NULL : xstrdup(signed_name);
	c->dnssec_bogus = bogus_name == NULL ? NULL : xstrdup(bogus_name);
	validation_set_config(c);
	config_unref(&c);
}

static void
begin(const struct ns_record *a, const struct ns_record *b)
{
	ns_start(&ns[0], loop, a);
	ns_start(&ns[1], loop, b);
}

static void
setup(void)
{
	loop = loop_new();
	query_init(loop);
	validation_init(loop);
	ticker = timer_new(loop, on_tick, NULL);
}

static void
teardown(void)
{
	timer_free(&ticker);
	validation_clear();
	query_clear();
	ns_stop(&ns[0]);
	ns_stop(&ns[1]);
	loop_settle(loop);
	loop_free(&loop);
}

START_TEST(on)
{
	begin(good, plain);
	use(1, NULL, NULL);
	ck_assert_int_eq(validation_get(), VALIDATION_UNKNOWN);
	await(VALIDATION_ON);
	ck_assert_str_eq(validation_why(), "");
	/* That there is nothing is authenticated as well. */
	use(1, "signed.example", "bogus.example");
	ck_assert_int_eq(validation_get(), VALIDATION_UNKNOWN);
	await(VALIDATION_ON);
}

END_TEST

static void
expect_why(const char *why)
{
	ck_assert_msg(
	    strstr(validation_why(), why) != NULL, "%s", validation_why());
}

START_TEST(off)
{
	begin(plain, good);
	use(1, NULL, NULL);
	await(VALIDATION_OFF);
	expect_why(": .: the answer is not authenticated (no AD)");
	use(1, "signed.example", NULL);
	await(VALIDATION_OFF);
	expect_why(": signed.example: the answer is not authenticated");
	/* One of them is enough. */
	use(2, NULL, NULL);
	await(VALIDATION_OFF);
}

END_TEST

START_TEST(off_when_it_believes_what_is_bogus)
{
	begin(liar, good);
	use(1, NULL, NULL);
	await(VALIDATION_ON);
	use(1, NULL, "bogus.example");
	await(VALIDATION_OFF);
	expect_why(": bogus.example: a bogus answer was not refused");
}

END_TEST

/* Until something is said of why nothing is known. */
static void
await_why(void)
{
	while (validation_why()[0] == '\0')
		await(VALIDATION_UNKNOWN);
}

/* What a server cannot say proves nothing. */
START_TEST(unknown)
{
	begin(good, plain);
	use(1, "sick.example", NULL);
	await_why();
	expect_why(": sick.example: servfail");
	ck_assert(validation_allows_dane());
	ck_assert_uint_eq(validation_counters()[0].value, 0);
}

END_TEST

/* A refusal that says nothing of the name is none. */
START_TEST(refused_is_not_bogus)
{
	begin(good, plain);
	use(1, NULL, "refused.example");
	await_why();
	expect_why(": refused.example: refused");
}

END_TEST

START_TEST(nobody_is_believed)
{
	begin(good, plain);
	ns[0].address.trust_ad = false;
	use(1, NULL, NULL);
	ck_assert_int_eq(validation_get(), VALIDATION_NONE);
	ck_assert(!validation_allows_dane());
	expect_why("trust-ad");
	ck_assert_uint_eq(ns[0].nasked, 0);
	/* Of two only the one that is. */
	use(2, NULL, NULL);
	await(VALIDATION_OFF);
	ck_assert_uint_eq(ns[0].nasked, 0);
	ck_assert_uint_eq(ns[1].nasked, 1);
}

END_TEST

/* What is the same is not asked anew. */
START_TEST(the_same_again)
{
	begin(good, plain);
	use(1, NULL, NULL);
	await(VALIDATION_ON);
	ck_assert_uint_eq(ns[0].nasked, 1);
	use(1, NULL, NULL);
	ck_assert_int_eq(validation_get(), VALIDATION_ON);
	use(1, "signed.example", NULL);
	await(VALIDATION_ON);
	ck_assert_uint_eq(ns[0].nasked, 2);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("validation");
	TCase *c = tcase_create("all");

	log_set_level(LOG_LEVEL_WARN);
	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, on);
	tcase_add_test(c, off);
	tcase_add_test(c, off_when_it_believes_what_is_bogus);
	tcase_add_test(c, unknown);
	tcase_add_test(c, refused_is_not_bogus);
	tcase_add_test(c, nobody_is_believed);
	tcase_add_test(c, the_same_again);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
