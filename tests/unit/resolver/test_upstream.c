/* The order in which servers are tried. */
#include <check.h>

#include "resolver/upstream.h"

static struct upstreams *u;
static uint8_t order[CONFIG_SERVERS_MAX];

static void
setup(void)
{
	struct server s[3] = { { .port = 1, .timeout_ms = 3000 },
		{ .port = 2, .timeout_ms = 3000 },
		{ .port = 3, .timeout_ms = 3000 } };

	u = upstreams_new(s, 3);
}

static void
teardown(void)
{
	upstreams_unref(&u);
	ck_assert_ptr_eq(u, NULL);
}

static void
expect(uint64_t now_ms, uint8_t a, uint8_t b, uint8_t c)
{
	ck_assert_uint_eq(upstreams_plan(u, now_ms, order), 3);
	ck_assert_uint_eq(order[0], a);
	ck_assert_uint_eq(order[1], b);
	ck_assert_uint_eq(order[2], c);
}

START_TEST(test_failed_last)
{
	expect(1000, 0, 1, 2);
	upstream_failed(&u->all[0], "timeout", 1000);
	expect(1000, 1, 2, 0);
	expect(30999, 1, 2, 0);
	upstream_failed(&u->all[1], "timeout", 2000);
	expect(2000, 2, 0, 1);
	upstream_failed(&u->all[2], "timeout", 2000);
	/* All of them: as they stand. */
	expect(2000, 0, 1, 2);
	upstream_answered(&u->all[1]);
	expect(2000, 1, 0, 2);
}

END_TEST

/* When its time is over one question tries it, not all at once. */
START_TEST(test_probe)
{
	upstream_failed(&u->all[0], "timeout", 1000);
	expect(31000, 0, 1, 2);
	expect(31000, 1, 2, 0);
	expect(33999, 1, 2, 0);
	/* The one that tried is not heard of: the next. */
	expect(34000, 0, 1, 2);
	upstream_answered(&u->all[0]);
	expect(34000, 0, 1, 2);
	expect(34000, 0, 1, 2);
}

END_TEST

START_TEST(test_dead)
{
	upstream_failed(&u->all[0], "timeout", 1000);
	ck_assert(!u->all[0].dead);
	upstream_failed(&u->all[0], "timeout", 2000);
	ck_assert(u->all[0].dead);
	upstream_answered(&u->all[0]);
	ck_assert(!u->all[0].dead);
	upstream_failed(&u->all[0], "timeout", 1000);
	ck_assert(!u->all[0].dead);
}

END_TEST

START_TEST(test_same)
{
	struct server s[3];

	for (size_t i = 0; i < 3; i++)
		s[i] = u->all[i].server;
	ck_assert(upstreams_are(u, s, 3));
	ck_assert(!upstreams_are(u, s, 2));
	s[2].trust_ad = true;
	ck_assert(!upstreams_are(u, s, 3));
	s[2].trust_ad = false;
	s[1].timeout_ms++;
	ck_assert(!upstreams_are(u, s, 3));
	s[1].timeout_ms--;
	s[0].port++;
	ck_assert(!upstreams_are(u, s, 3));
	s[0].port--;
	ck_assert_int_eq(addr_parse(STR("::1"), &s[0].addr), 0);
	ck_assert(!upstreams_are(u, s, 3));
}

END_TEST

START_TEST(test_text)
{
	char out[SERVER_TEXT_MAX];
	struct server s = { .port = 53 };

	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &s.addr), 0);
	ck_assert_str_eq(server_format(&s, out), "192.0.2.1:53");
	ck_assert_int_eq(addr_parse(STR("2001:db8::1"), &s.addr), 0);
	ck_assert_str_eq(server_format(&s, out), "[2001:db8::1]:53");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("upstream");
	TCase *t = tcase_create("upstream");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_failed_last);
	tcase_add_test(t, test_probe);
	tcase_add_test(t, test_dead);
	tcase_add_test(t, test_same);
	tcase_add_test(t, test_text);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
