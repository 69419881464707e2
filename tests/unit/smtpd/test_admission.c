/* How many messages may be at filters, and for whom there is a reserve. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "smtpd/admission.h"
#include "smtpd/stats.h"

static struct admission a;

static void
setup(void)
{
	a = (struct admission){ .most = 0 };
	admission_set(&a, 40, 1000);
}

static void
teardown(void)
{
	admission_clear();
}

/* How many more come in. */
static unsigned int
fill(bool reserve)
{
	unsigned int n = 0;

	while (admission_enter(&a, reserve, 5) == 0)
		n++;
	return n;
}

START_TEST(reserve)
{
	ck_assert_uint_eq(fill(false), 40);
	ck_assert(!admission_has_room(&a, false));
	ck_assert(admission_has_room(&a, true));
	ck_assert_uint_eq(fill(true), 10);
	admission_leave(&a);
	ck_assert_int_eq(admission_enter(&a, false, 5), -1);
	ck_assert_int_eq(admission_enter(&a, true, 5), 0);
	ck_assert_uint_eq(stats_all()[STAT_FILTERING].value, 50);
}

END_TEST

START_TEST(smallest)
{
	admission_set(&a, 0, 1000);
	ck_assert_uint_eq(fill(false), 1);
	ck_assert_uint_eq(fill(true), 1);
}

END_TEST

START_TEST(shrinks_and_grows)
{
	uint64_t now = 10000;

	for (int i = 0; i < 100; i++)
		admission_took(&a, 5000000, now);
	/* The same moment: one step. */
	ck_assert_uint_eq(a.capacity, 30);
	for (int i = 0; i < 100; i++)
		admission_took(&a, 5000000, now += 1000);
	ck_assert_uint_eq(a.capacity, 4);
	ck_assert_uint_eq(stats_all()[STAT_FILTERING_CAPACITY].value, 4);
	ck_assert_uint_eq(fill(false), 4);
	/* One good answer does not make it quick again, many do. */
	admission_took(&a, 1000, now);
	ck_assert_uint_eq(a.capacity, 4);
	for (int i = 0; i < 100; i++)
		admission_took(&a, 1000, now);
	ck_assert_uint_eq(a.capacity, 40);
}

END_TEST

/* A slow one now and then is nothing. */
START_TEST(smoothed)
{
	for (uint64_t i = 0; i < 100; i++)
		admission_took(&a, i % 10 == 9 ? 3000000 : 100000, i * 1000);
	ck_assert_uint_eq(a.capacity, 40);
}

END_TEST

START_TEST(reconfigured)
{
	admission_set(&a, 20, 1000);
	ck_assert_uint_eq(a.capacity, 20);
	admission_set(&a, 80, 1000);
	ck_assert_uint_eq(a.capacity, 80);
	admission_took(&a, 5000000, 1);
	ck_assert_uint_eq(a.capacity, 60);
	/* What was learned stays. */
	admission_set(&a, 100, 1000);
	ck_assert_uint_eq(a.capacity, 60);
	admission_set(&a, 10, 1000);
	ck_assert_uint_eq(a.capacity, 10);
}

END_TEST

/* Full until a newcomer finds room, said once a minute at most. */
START_TEST(full)
{
	fill(false);
	ck_assert(a.full && a.said);
	ck_assert_uint_eq(a.nrefused, 1);
	admission_leave(&a);
	ck_assert(!a.full && !a.said);
	fill(false);
	ck_assert(a.full && !a.said);
	admission_leave(&a);
	ck_assert_int_eq(admission_enter(&a, false, 70000), 0);
	ck_assert_int_eq(admission_enter(&a, false, 70000), -1);
	ck_assert(a.full && a.said);
}

END_TEST

static struct addr
addr(const char *text)
{
	struct addr out = { .family = ADDR_NONE };

	addr_parse(str_of(text), &out);
	return out;
}

START_TEST(known_sources)
{
	struct addr one = addr("192.0.2.1"), six = addr("2001:db8::1"),
		    near = addr("2001:db8::2"), local = addr("127.0.0.9"),
		    here = { .family = ADDR_LOCAL };

	ck_assert(admission_is_known(&local));
	ck_assert(admission_is_known(&here));
	ck_assert(!admission_is_known(&one));
	admission_remember(&one);
	admission_remember(&six);
	ck_assert(admission_is_known(&one));
	ck_assert(admission_is_known(&near)); /* the same /64 */
	/* The one not seen for longest is forgotten. */
	for (unsigned int i = 0; i < 4095; i++) {
		struct addr other = addr("198.18.0.0");

		other.bytes[2] = (uint8_t)(i >> 8);
		other.bytes[3] = (uint8_t)i;
		admission_remember(&other);
		admission_remember(&six);
	}
	ck_assert(!admission_is_known(&one));
	ck_assert(admission_is_known(&six));
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { reserve, smallest, shrinks_and_grows,
		smoothed, reconfigured, full, known_sources };
	Suite *s = suite_create("admission");
	TCase *t = tcase_create("admission");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	log_init("test", 1, "host");
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
