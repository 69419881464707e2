/* The names of clients that are kept: for how long, how many, for whom. */
#include "tests/unit/smtpd/fake_names.h"
#include "tests/unit/smtpd/talk.h"

static void
call(const char *from)
{
	h.from = from;
	harness_connect(&h);
	harness_settle(&h);
	harness_hang_up(&h);
}

START_TEST(kept)
{
	uint64_t asked = stats_all()[STAT_RDNS_ASKED].value;

	names_start(&h, CLIENT_NAME_CONFIRMED, "c.example");
	for (int i = 0; i < 10; i++)
		call("192.0.2.1");
	ck_assert_uint_eq(names.nasked, 1);
	call("192.0.2.2");
	call("::ffff:192.0.2.2");
	ck_assert_uint_eq(names.nasked, 2);
	ck_assert_uint_eq(stats_all()[STAT_RDNS_ASKED].value, asked + 2);
	/* An answer that holds for no time. */
	names.answer.ttl_s = 0;
	call("192.0.2.3");
	call("192.0.2.3");
	ck_assert_uint_eq(names.nasked, 4);
	/* And one that ends. */
	names.answer.ttl_s = 1;
	call("192.0.2.4");
	ck_assert_uint_eq(names.nasked, 5);
	timer_set(h.guard, HARNESS_GUARD_MS);
	while (names.nasked == 5)
		call("192.0.2.4");
	timer_stop(h.guard);
}

END_TEST

static struct caller *
ref(unsigned int n)
{
	struct addr a = { .family = ADDR_V4,
		.bytes = { 10, 0, (uint8_t)(n >> 8), (uint8_t)n } };

	return caller_ref(&a);
}

static void
ref_settled(unsigned int n)
{
	struct caller *c = ref(n);

	harness_settle(&h);
	caller_unref(&c);
}

/* The bound: who was not asked for the longest time is forgotten. */
START_TEST(bounded)
{
	names_start(&h, CLIENT_NAME_NONE, "");
	for (unsigned int n = 0; n < 4096; n++) {
		struct caller *c = ref(n);

		if (n % 512 == 511)
			harness_settle(&h);
		caller_unref(&c);
	}
	harness_settle(&h);
	ck_assert_uint_eq(names.nasked, 4096);
	ref_settled(0);
	ck_assert_uint_eq(names.nasked, 4096);
	ref_settled(5000);
	ck_assert_uint_eq(names.nasked, 4097);
	ref_settled(0);
	ref_settled(2);
	ck_assert_uint_eq(names.nasked, 4097);
	ref_settled(1);
	ck_assert_uint_eq(names.nasked, 4098);
}

END_TEST

/* More questions wait than may: a fault at once, which is not kept. */
START_TEST(too_many_pending)
{
	enum { MAX = 1024 };
	struct caller *all[MAX + 1];

	names_start(&h, CLIENT_NAME_CONFIRMED, "c.example");
	names.hold = true;
	for (unsigned int n = 0; n <= MAX; n++) {
		all[n] = ref(n);
		ck_assert_int_eq(caller_state(all[n]),
		    n < MAX ? CLIENT_NAME_PENDING : CLIENT_NAME_FAULT);
	}
	harness_settle(&h);
	ck_assert_uint_eq(names.nasked, MAX);
	for (unsigned int n = 0; n <= MAX; n++) {
		if (n < MAX)
			tell_name(names.ids[n]);
		harness_settle(&h);
		ck_assert_int_eq(caller_state(all[n]),
		    n < MAX ? CLIENT_NAME_CONFIRMED : CLIENT_NAME_FAULT);
		ck_assert_str_eq(
		    caller_text(all[n]), n < MAX ? "c.example" : "unknown");
		caller_unref(&all[n]);
	}
	ref_settled(MAX);
	ck_assert_uint_eq(names.nasked, MAX + 1);
}

END_TEST

/* The answer outlives whoever asked, and the place it was kept in. */
START_TEST(answer_for_nobody)
{
	struct caller *c, *other;

	names_start(&h, CLIENT_NAME_CONFIRMED, "c.example");
	names.hold = true;
	c = ref(1);
	caller_unref(&c);
	ck_assert_ptr_null(c);
	c = ref(1);
	harness_settle(&h);
	ck_assert_uint_eq(names.nasked, 1);
	callers_clear();
	other = ref(1);
	harness_settle(&h);
	ck_assert_uint_eq(names.nasked, 2);
	names_answer(0, CLIENT_NAME_CONFIRMED, "a.example");
	harness_settle(&h);
	ck_assert_str_eq(caller_text(c), "a.example");
	ck_assert_int_eq(caller_state(other), CLIENT_NAME_PENDING);
	caller_unref(&c);
	caller_unref(&other);
	names_answer(1, CLIENT_NAME_CONFIRMED, "b.example");
	harness_settle(&h);
	c = ref(1);
	ck_assert_str_eq(caller_text(c), "b.example");
	ck_assert(str_eq(caller_name(c), STR("b.example")));
	caller_unref(&c);
	caller_unref(&c);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { kept, bounded, too_many_pending,
		answer_for_nobody };

	return run_tests("kept_names", tests, sizeof(tests) / sizeof(tests[0]));
}
