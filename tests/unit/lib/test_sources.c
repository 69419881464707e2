/* The counters that all workers share: counts, limits, rates, a full
 * window, a dead worker, and images that are not what they should be. */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/net/sources.h"

static struct addr
v4(uint32_t n)
{
	struct addr a = { .family = ADDR_V4 };
	a.bytes[0] = 10;
	a.bytes[1] = (uint8_t)(n >> 16);
	a.bytes[2] = (uint8_t)(n >> 8);
	a.bytes[3] = (uint8_t)n;
	return a;
}

static struct addr
parse(const char *text)
{
	struct addr a;
	ck_assert_int_eq(addr_parse(str_of(text), &a), 0);
	return a;
}

static struct sources *
make(uint32_t ncolumns, struct sources **second)
{
	int fd = sources_create(ncolumns, NULL);
	ck_assert_int_ge(fd, 0);
	struct sources *s = sources_map(fd, 0, NULL);
	ck_assert_ptr_nonnull(s);
	if (second != NULL) {
		*second = sources_map(fd, 1, NULL);
		ck_assert_ptr_nonnull(*second);
	}
	close(fd);
	return s;
}

START_TEST(counts_over_all_workers)
{
	struct sources *b, *a = make(2, &b);
	struct sources_limits none = { 0 };
	struct addr x = parse("192.0.2.1"), y = parse("192.0.2.2");
	uint32_t t[3];
	ck_assert_int_eq(sources_enter(a, &x, 0, &none, 1, &t[0]), SOURCES_OK);
	ck_assert_int_eq(sources_enter(b, &x, 1, &none, 1, &t[1]), SOURCES_OK);
	ck_assert_int_eq(sources_enter(b, &y, 1, &none, 1, &t[2]), SOURCES_OK);
	ck_assert_uint_eq(sources_of(a, &x), 2);
	ck_assert_uint_eq(sources_of(b, &y), 1);
	ck_assert_uint_eq(sources_total(a), 3);
	ck_assert_uint_eq(sources_on_listener(a, 0), 1);
	ck_assert_uint_eq(sources_on_listener(a, 1), 2);
	sources_leave(a, 0, t[0]);
	sources_leave(b, 1, t[1]);
	sources_leave(b, 1, t[2]);
	ck_assert_uint_eq(sources_total(b), 0);
	ck_assert_uint_eq(sources_of(b, &x), 0);
	ck_assert_uint_eq(sources_on_listener(b, 1), 0);
	sources_unmap(&a);
	sources_unmap(&b);
	ck_assert_ptr_null(a);
}

END_TEST

START_TEST(one_source_is_a_network_of_v6)
{
	struct sources *s = make(1, NULL);
	struct sources_limits l = { .per_source = 1 };
	struct addr x = parse("2001:db8:1:2::1"), y = parse("2001:db8:1:2::2");
	struct addr z = parse("2001:db8:1:3::1");
	uint32_t t;
	ck_assert_int_eq(sources_enter(s, &x, 0, &l, 1, &t), SOURCES_OK);
	ck_assert_int_eq(sources_enter(s, &y, 0, &l, 1, &t), SOURCES_TOO_MANY);
	ck_assert_int_eq(sources_enter(s, &z, 0, &l, 1, &t), SOURCES_OK);
	sources_unmap(&s);
}

END_TEST

START_TEST(limit_per_source_and_in_all)
{
	struct sources *b, *a = make(2, &b);
	struct sources_limits l = { .connections = 3, .per_source = 2 };
	struct addr x = parse("192.0.2.1"), y = parse("192.0.2.2");
	uint32_t t, u;
	ck_assert_int_eq(sources_enter(a, &x, 0, &l, 1, &t), SOURCES_OK);
	ck_assert_int_eq(sources_enter(b, &x, 0, &l, 1, &u), SOURCES_OK);
	ck_assert_int_eq(sources_enter(a, &x, 0, &l, 1, &t), SOURCES_TOO_MANY);
	ck_assert_int_eq(sources_enter(a, &y, 0, &l, 1, &t), SOURCES_OK);
	ck_assert_int_eq(sources_enter(b, &y, 0, &l, 1, &t), SOURCES_FULL);
	ck_assert_uint_eq(sources_total(a), 3);
	sources_leave(b, 0, u);
	ck_assert_int_eq(sources_enter(b, &y, 0, &l, 1, &t), SOURCES_OK);
	sources_unmap(&a);
	sources_unmap(&b);
}

END_TEST

START_TEST(rate)
{
	struct sources *s = make(1, NULL);
	struct sources_limits l = { .rate = 3, .rate_period_ms = 3000 };
	struct addr x = parse("192.0.2.1");
	uint32_t t;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(
		    sources_enter(s, &x, 0, &l, 10000, &t), SOURCES_OK);
	ck_assert_int_eq(
	    sources_enter(s, &x, 0, &l, 10000, &t), SOURCES_TOO_FAST);
	ck_assert_int_eq(
	    sources_enter(s, &x, 0, &l, 10999, &t), SOURCES_TOO_FAST);
	ck_assert_int_eq(sources_enter(s, &x, 0, &l, 11000, &t), SOURCES_OK);
	ck_assert_int_eq(
	    sources_enter(s, &x, 0, &l, 11001, &t), SOURCES_TOO_FAST);
	/* After a whole period of peace all of it is there again. */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(
		    sources_enter(s, &x, 0, &l, 20000, &t), SOURCES_OK);
	ck_assert_int_eq(
	    sources_enter(s, &x, 0, &l, 20000, &t), SOURCES_TOO_FAST);
	ck_assert_uint_eq(sources_total(s), 7);
	sources_unmap(&s);
}

END_TEST

/* A subnet is a /24, or the /64 that is one source as well. */
START_TEST(limit_per_subnet)
{
	struct sources *b, *a = make(2, &b);
	struct sources_limits l = { .per_source = 2, .per_subnet = 3 };
	struct addr x = parse("192.0.2.1"), y = parse("192.0.2.255");
	struct addr z = parse("192.0.3.1"), v6 = parse("2001:db8::1");
	uint32_t t, u;
	ck_assert_int_eq(sources_enter(a, &x, 0, &l, 1, &t), SOURCES_OK);
	ck_assert_int_eq(sources_enter(b, &x, 0, &l, 1, &t), SOURCES_OK);
	ck_assert_int_eq(sources_enter(a, &x, 0, &l, 1, &t), SOURCES_TOO_MANY);
	ck_assert_int_eq(sources_enter(b, &y, 0, &l, 1, &u), SOURCES_OK);
	ck_assert_int_eq(
	    sources_enter(a, &y, 0, &l, 1, &t), SOURCES_SUBNET_TOO_MANY);
	ck_assert_uint_eq(sources_of(a, &y), 1);
	ck_assert_uint_eq(sources_total(a), 3);
	ck_assert_int_eq(sources_enter(a, &z, 0, &l, 1, &t), SOURCES_OK);
	sources_leave(a, 0, t);
	sources_leave(b, 0, u);
	ck_assert_int_eq(sources_enter(a, &y, 0, &l, 1, &t), SOURCES_OK);
	l.per_source = 0;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(
		    sources_enter(a, &v6, 0, &l, 1, &t), SOURCES_OK);
	ck_assert_int_eq(
	    sources_enter(b, &v6, 0, &l, 1, &t), SOURCES_SUBNET_TOO_MANY);
	/* A worker that died has none of a subnet either. */
	sources_zero_column(b, 0);
	ck_assert_int_eq(sources_enter(b, &v6, 0, &l, 1, &t), SOURCES_OK);
	sources_unmap(&a);
	sources_unmap(&b);
}

END_TEST

START_TEST(rate_of_a_subnet)
{
	struct sources *s = make(1, NULL);
	struct sources_limits l = { .rate = 2,
		.rate_period_ms = 1000,
		.subnet_rate = 3,
		.subnet_rate_period_ms = 9000 };
	struct addr x = parse("192.0.2.1"), y = parse("192.0.2.2");
	struct addr z = parse("192.0.2.3");
	uint32_t t;
	ck_assert_int_eq(sources_enter(s, &x, 0, &l, 1, &t), SOURCES_OK);
	ck_assert_int_eq(sources_enter(s, &x, 0, &l, 1, &t), SOURCES_OK);
	ck_assert_int_eq(sources_enter(s, &x, 0, &l, 1, &t), SOURCES_TOO_FAST);
	ck_assert_int_eq(sources_enter(s, &y, 0, &l, 1, &t), SOURCES_OK);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(sources_enter(s, &z, 0, &l, 1, &t),
		    SOURCES_SUBNET_TOO_FAST);
	/* Those attempts have cost the source nothing of its own. */
	l.subnet_rate = 0;
	ck_assert_int_eq(sources_enter(s, &z, 0, &l, 1, &t), SOURCES_OK);
	ck_assert_int_eq(sources_enter(s, &z, 0, &l, 1, &t), SOURCES_OK);
	ck_assert_int_eq(sources_enter(s, &z, 0, &l, 1, &t), SOURCES_TOO_FAST);
	sources_unmap(&s);
}

END_TEST

START_TEST(failures)
{
	struct sources *b, *a = make(2, &b);
	struct sources_limits none = { 0 };
	struct addr x = parse("2001:db8::1"), y = parse("2001:db8::2");
	struct addr z = parse("192.0.2.1");
	uint32_t t;
	ck_assert_uint_eq(sources_failures(a, &x, 1000, 5000), 0);
	ck_assert_int_eq(sources_enter(a, &x, 0, &none, 5000, &t), SOURCES_OK);
	for (int i = 0; i < 3; i++)
		sources_fail(i % 2 == 0 ? a : b, &x, 1000, 5000);
	/* Of the source, whoever of it, over all workers. */
	ck_assert_uint_eq(sources_failures(b, &y, 1000, 5000), 3);
	ck_assert_uint_eq(sources_failures(b, &z, 1000, 5000), 0);
	/* Also when nothing of it is open any more. */
	sources_leave(a, 0, t);
	sources_fail(b, &x, 1000, 5999);
	ck_assert_uint_eq(sources_failures(a, &x, 1000, 5999), 4);
	ck_assert_uint_eq(sources_failures(a, &x, 1000, 6000), 0);
	sources_fail(b, &x, 1000, 6000);
	ck_assert_uint_eq(sources_failures(a, &x, 1000, 6999), 1);
	/* Of one who never came; a window that is longer than can be. */
	sources_fail(a, &z, 1000, 6000);
	ck_assert_uint_eq(sources_failures(a, &z, 1000, 6000), 1);
	ck_assert_uint_eq(sources_failures(a, &z, 500, 6000), 0);
	sources_unmap(&a);
	sources_unmap(&b);
}

END_TEST

START_TEST(failures_have_a_bound)
{
	struct sources *s = make(1, NULL);
	struct addr x = parse("192.0.2.1");
	for (uint32_t i = 0; i < (1U << 20) + 10; i++)
		sources_fail(s, &x, 1000, 1);
	ck_assert_uint_eq(sources_failures(s, &x, 1000, 1000), (1U << 20) - 1);
	ck_assert_uint_eq(sources_failures(s, &x, 1000, 1001), 0);
	sources_unmap(&s);
}

END_TEST

/* Who has failed is remembered as long as there are slots of others who are
 * not. */
START_TEST(failures_are_not_washed_away)
{
	struct sources *s = make(1, NULL);
	struct sources_limits l = { 0 };
	struct addr x = parse("192.0.2.1");
	uint32_t t;
	for (int i = 0; i < 20; i++)
		sources_fail(s, &x, 600000, 1);
	for (uint32_t i = 0; i < 300000; i++) {
		struct addr a = v4(i);
		ck_assert_int_eq(
		    sources_enter(s, &a, 0, &l, 2, &t), SOURCES_OK);
		sources_leave(s, 0, t);
	}
	ck_assert_uint_eq(sources_failures(s, &x, 600000, 3), 20);
	sources_unmap(&s);
}

END_TEST

START_TEST(dead_worker)
{
	struct sources *b, *a = make(2, &b);
	struct sources_limits none = { 0 };
	struct addr x = parse("192.0.2.1");
	uint32_t t;
	ck_assert_int_eq(sources_enter(a, &x, 0, &none, 1, &t), SOURCES_OK);
	ck_assert_int_eq(sources_enter(b, &x, 0, &none, 1, &t), SOURCES_OK);
	sources_zero_column(a, 1);
	ck_assert_uint_eq(sources_of(a, &x), 1);
	ck_assert_uint_eq(sources_total(a), 1);
	ck_assert_uint_eq(sources_on_listener(a, 0), 1);
	sources_zero_column(a, 99); /* nobody: nothing happens */
	sources_unmap(&a);
	sources_unmap(&b);
}

END_TEST

/* More sources than slots pass by: idle ones make room, and who is there
 * keeps its count. */
START_TEST(many_sources)
{
	struct sources *s = make(1, NULL);
	struct sources_limits l = {
		.per_source = 2, .rate = 60, .rate_period_ms = 60000
	};
	struct addr stays = parse("192.0.2.1");
	uint32_t t;
	ck_assert_int_eq(sources_enter(s, &stays, 0, &l, 1, &t), SOURCES_OK);
	for (uint32_t i = 0; i < 300000; i++) {
		struct addr a = v4(i);
		ck_assert_int_eq(
		    sources_enter(s, &a, 0, &l, 1 + i / 1000, &t), SOURCES_OK);
		sources_leave(s, 0, t);
	}
	ck_assert_uint_eq(sources_of(s, &stays), 1);
	ck_assert_uint_eq(sources_total(s), 1);
	sources_unmap(&s);
}

END_TEST

/* 30,000 sources with one open connection each, all counted. */
START_TEST(many_open)
{
	struct sources *s = make(1, NULL);
	struct sources_limits l = { .per_source = 1 };
	uint32_t t, n = 30000;
	for (uint32_t i = 0; i < n; i++) {
		struct addr a = v4(i);
		ck_assert_int_eq(
		    sources_enter(s, &a, 0, &l, 1, &t), SOURCES_OK);
	}
	for (uint32_t i = 0; i < n; i++) {
		struct addr a = v4(i);
		ck_assert_uint_eq(sources_of(s, &a), 1);
	}
	ck_assert_uint_eq(sources_total(s), n);
	sources_unmap(&s);
}

END_TEST

enum { ROUNDS = 100000 };

/* Comes and goes, often, from a few sources; in the end nothing is left. */
static void *
worker(void *ctx)
{
	struct sources *s = ctx;
	struct sources_limits l = { .connections = 4, .per_source = 2 };
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct addr a = v4(i % 3);
		uint32_t t;
		if (sources_enter(s, &a, 0, &l, i, &t) == SOURCES_OK)
			sources_leave(s, 0, t);
	}
	return NULL;
}

START_TEST(at_the_same_time)
{
	struct sources *b, *a = make(2, &b);
	pthread_t t;
	ck_assert_int_eq(pthread_create(&t, NULL, worker, a), 0);
	worker(b);
	pthread_join(t, NULL);
	ck_assert_uint_eq(sources_total(a), 0);
	ck_assert_uint_eq(sources_on_listener(a, 0), 0);
	for (uint32_t i = 0; i < 3; i++) {
		struct addr x = v4(i);
		ck_assert_uint_eq(sources_of(a, &x), 0);
	}
	sources_unmap(&a);
	sources_unmap(&b);
}

END_TEST

START_TEST(refuses_other_images)
{
	struct fault why = { 0 };
	ck_assert_int_eq(sources_create(0, &why), -1);
	ck_assert_int_eq(sources_create(SOURCES_COLUMNS_MAX + 1, &why), -1);
	int fd = sources_create(2, &why);
	ck_assert_ptr_null(sources_map(fd, 2, &why));
	char head[64];
	ck_assert_int_eq(pread(fd, head, sizeof(head), 0), sizeof(head));
	close(fd);
	int other = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_ptr_null(sources_map(other, 0, &why));
	/* The header of one, without the seals; then with another size. */
	ck_assert_int_eq(pwrite(other, head, sizeof(head), 0), sizeof(head));
	ck_assert_ptr_null(sources_map(other, 0, &why));
	ck_assert_int_eq(fcntl(other, F_ADD_SEALS,
			     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
	    0);
	ck_assert_ptr_null(sources_map(other, 0, &why));
	close(other);
}

END_TEST

int
main(void)
{
	Suite *suite = suite_create("sources");
	TCase *tc = tcase_create("sources");
	tcase_add_test(tc, counts_over_all_workers);
	tcase_add_test(tc, one_source_is_a_network_of_v6);
	tcase_add_test(tc, limit_per_source_and_in_all);
	tcase_add_test(tc, rate);
	tcase_add_test(tc, limit_per_subnet);
	tcase_add_test(tc, rate_of_a_subnet);
	tcase_add_test(tc, failures);
	tcase_add_test(tc, failures_have_a_bound);
	tcase_add_test(tc, failures_are_not_washed_away);
	tcase_add_test(tc, dead_worker);
	tcase_add_test(tc, many_sources);
	tcase_add_test(tc, many_open);
	tcase_add_test(tc, at_the_same_time);
	tcase_add_test(tc, refuses_other_images);
	suite_add_tcase(suite, tc);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
