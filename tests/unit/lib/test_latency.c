/* Times in buckets: each falls into one, bounds grow, and what is read out of
 * them lies where it was put in. */
#include <check.h>
#include <stdint.h>

#include "lib/base/latency.h"

START_TEST(bounds)
{
	for (unsigned int i = 1; i < LATENCY_BUCKETS; i++)
		ck_assert_uint_gt(latency_bound_us(i), latency_bound_us(i - 1));
	ck_assert_uint_eq(latency_bound_us(0), 64);
	ck_assert_uint_eq(latency_bound_us(LATENCY_BUCKETS - 1), UINT64_MAX);
	/* A mail that was put off twice is told from one that waits a day. */
	ck_assert_uint_gt(
	    latency_bound_us(LATENCY_BUCKETS - 2), UINT64_C(7200000000));
}

END_TEST

START_TEST(buckets)
{
	for (unsigned int i = 0; i < LATENCY_BUCKETS - 1; i++) {
		ck_assert_uint_eq(latency_bucket(latency_bound_us(i) - 1), i);
		ck_assert_uint_eq(latency_bucket(latency_bound_us(i)), i + 1);
	}
	ck_assert_uint_eq(latency_bucket(0), 0);
	ck_assert_uint_eq(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
}

END_TEST

START_TEST(quantiles)
{
	struct latency l = { 0 };

	ck_assert_uint_eq(latency_quantile_us(l.counts, 500), 0);
	for (int i = 0; i < 99; i++)
		latency_add(&l, 1000);
	latency_add(&l, UINT64_C(3600000000));
	ck_assert_uint_eq(l.count, 100);
	ck_assert_uint_eq(l.sum_us, UINT64_C(3600099000));
	ck_assert_uint_ge(latency_quantile_us(l.counts, 500), 768);
	ck_assert_uint_le(latency_quantile_us(l.counts, 990), 1024);
	ck_assert_uint_ge(
	    latency_quantile_us(l.counts, 1000), UINT64_C(3221225472));
	ck_assert_uint_gt(latency_quantile_us(l.counts, 0), 0);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("latency");
	TCase *tc = tcase_create("latency");

	tcase_add_test(tc, bounds);
	tcase_add_test(tc, buckets);
	tcase_add_test(tc, quantiles);
	suite_add_tcase(s, tc);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
