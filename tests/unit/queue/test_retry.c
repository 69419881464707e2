/* The retry list: order, removal from the middle, steps and their bounds. */
#include "queue/retry.h"
#include "tests/unit/queue/parts.h"

START_TEST(the_soonest_first)
{
	enum { N = 60 };

	struct index ix;
	struct retry t;
	struct entry *e;
	uint64_t last = 0;
	uint32_t x = 7;

	index_init(&ix);
	retry_init(&t);
	e = part_entry(&ix, 1, N, "x", "act");
	for (uint32_t i = 0; i < N; i++) {
		x = x * 1664525U + 1013904223U;
		retry_add(&t, &e->rcpts[i], x % 1000);
	}
	for (uint32_t i = 0; i < N; i += 3) {
		retry_del(&t, &e->rcpts[i]);
		ck_assert_int_eq(e->rcpts[i].place, PLACE_NONE);
	}
	for (uint32_t i = 0; i < N - N / 3; i++) {
		struct rcpt *r = retry_first(&t);

		ck_assert_ptr_nonnull(r);
		ck_assert_uint_ne(r->index % 3, 0);
		ck_assert_uint_ge(r->due_ms, last);
		last = r->due_ms;
		retry_del(&t, r);
	}
	ck_assert_ptr_null(retry_first(&t));
	retry_clear(&t);
	index_clear(&ix);
}

END_TEST

START_TEST(steps_repeat_the_last_and_vary_by_a_fifth)
{
	struct queue_settings q = { .retry_s = { 60, 300 }, .nretry = 2 };
	uint64_t min = UINT64_MAX, max = 0;

	for (uint32_t i = 0; i < 100000; i += 7) {
		uint64_t ms = retry_delay(&q, 1, i);

		min = ms < min ? ms : min;
		max = ms > max ? ms : max;
	}
	ck_assert_uint_eq(min, 60000);
	ck_assert_uint_eq(max, 72000);
	for (uint32_t n = 2; n < 9; n++) {
		ck_assert_uint_ge(retry_delay(&q, n, n), 300000);
		ck_assert_uint_le(retry_delay(&q, n, n), 360000);
	}
	ck_assert_uint_eq(retry_longest(&q), 360000);
}

END_TEST

START_TEST(the_unheard_waits_five_minutes)
{
	struct queue_settings q = { .retry_s = { 1, 600 }, .nretry = 2 };

	ck_assert_uint_eq(retry_delay_unheard(&q, 1, 7), 300000);
	ck_assert_uint_ge(retry_delay_unheard(&q, 2, 7), 600000);
	q.nretry = 1;
	/* and a stored time of that kind is not cut short */
	ck_assert_uint_eq(retry_clamp(&q, 305000, 5000), 300000);
}

END_TEST

START_TEST(stored_times_are_clamped)
{
	struct queue_settings q = { .retry_s = { 600 }, .nretry = 1 };

	ck_assert_uint_eq(retry_clamp(&q, 1000, 5000), 0);
	ck_assert_uint_eq(retry_clamp(&q, 35000, 5000), 30000);
	/* The clock was ten years ahead when this was written. */
	ck_assert_uint_eq(retry_clamp(&q, 315360000000, 5000), 720000);
	ck_assert_uint_eq(retry_clamp(&q, UINT64_MAX, 0), 720000);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { the_soonest_first,
		steps_repeat_the_last_and_vary_by_a_fifth,
		the_unheard_waits_five_minutes, stored_times_are_clamped };

	return PART_RUN("retry", tests);
}
