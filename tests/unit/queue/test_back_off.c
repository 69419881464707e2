/* The scheduler alone: destinations that cannot be reached, and who waits for
 * them. */
#include "tests/unit/queue/scheduling.h"

START_TEST(an_unreachable_destination_backs_off_alone)
{
	struct agent a = { .capacity = 50 };

	setup(2, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 5; i++)
		add("smtp://dead", 1, 1000);
	ck_assert_uint_eq(run(1000), 0);
	ck_assert_int_eq(t.nstarts, 2);
	done(0, WORK_UNREACHABLE, 1000);
	done(1, WORK_UNREACHABLE, 1001);
	ck_assert_uint_eq(run(1001), 2000);
	ck_assert_int_eq(t.nstarts, 2);
	add("smtp://alive", 1, 1500);
	run(1500);
	ck_assert_int_eq(t.nstarts, 3);
	/* One probe, not a flood. */
	run(2000);
	ck_assert_int_eq(t.nstarts, 4);
	done(3, WORK_UNREACHABLE, 2100);
	ck_assert_uint_eq(run(2100), 4100);
	run(4100);
	ck_assert_int_eq(t.nstarts, 5);
	done(4, WORK_DONE, 4200);
	run(4200);
	ck_assert_int_eq(t.nstarts, 6);
}

END_TEST

START_TEST(the_back_off_is_remembered_and_forgotten)
{
	struct agent a = { .capacity = 50 };
	uint64_t next;

	setup(5, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	add("smtp://dead", 1, 1000);
	run(1000);
	done(0, WORK_UNREACHABLE, 1000);
	add("smtp://dead", 1, 1100);
	ck_assert_uint_eq(run(1100), 2000);
	run(2000);
	ck_assert_int_eq(t.nstarts, 2);
	done(1, WORK_UNREACHABLE, 2000);
	next = run(2000);
	ck_assert_uint_gt(next, 60000);
	run(next);
	ck_assert(RB_EMPTY(&t.s.destinations));
}

END_TEST

START_TEST(hurrying_ends_a_back_off)
{
	struct agent a = { .capacity = 50 };
	struct entry *e;

	setup(5, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	add("smtp://dead", 1, 1000);
	run(1000);
	done(0, WORK_UNREACHABLE, 1000);
	add("smtp://dead", 1, 1100);
	run(1100);
	e = index_find_seq(&t.ix, 2);
	schedule_hurry(&t.s, &e->rcpts[0], 1200);
	run(1200);
	ck_assert_int_eq(t.nstarts, 2);
}

END_TEST

START_TEST(put_off_ones_are_counted)
{
	struct agent a = { .capacity = 50 };
	struct rcpt_list all = TAILQ_HEAD_INITIALIZER(all);

	setup(5, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 10; i++)
		add("smtp://dead", 1, 1000);
	add("smtp://alive", 3, 1000);
	run(1000);
	ck_assert_uint_eq(schedule_count_put_off(&t.s), 0);
	for (int i = 0; i < t.nstarts; i++)
		if (str_eq(t.starts[i].d->hops, STR("smtp://dead")))
			done(i, WORK_UNREACHABLE, 1000);
	ck_assert_uint_eq(schedule_count_put_off(&t.s), 8);
	add("smtp://dead", 2, 1000);
	schedule_del(&t.s, &index_find_seq(&t.ix, 10)->rcpts[0]);
	ck_assert_uint_eq(schedule_count_put_off(&t.s), 9);
	run(2000);
	ck_assert_uint_eq(schedule_count_put_off(&t.s), 8);
	done(t.nstarts - 1, WORK_DONE, 2100);
	ck_assert_uint_eq(schedule_count_put_off(&t.s), 0);
	schedule_take_all(&t.s, &all);
	ck_assert_uint_eq(schedule_count_put_off(&t.s), 0);
}

END_TEST

/* Who waits behind a probe that takes its turn every five minutes grows old
 * all the same. */
START_TEST(the_line_of_the_unreachable_is_swept)
{
	struct agent a = { .capacity = 50 };
	uint64_t now = 1000;

	setup(1, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 3000; i++)
		add("smtp://dead", 1, now);
	t.expired = 2500;
	run(now);
	done(0, WORK_UNREACHABLE, now);
	for (int i = 1; i < 4; i++) {
		now = run(now);
		run(now);
		done(t.nstarts - 1, WORK_UNREACHABLE, now);
	}
	ck_assert_int_eq(t.nstarts, 4);
	ck_assert_int_eq(
	    index_find_seq(&t.ix, 2500)->rcpts[0].place, PLACE_NONE);
	ck_assert_uint_eq(schedule_count_put_off(&t.s), 3000 - 4 - 1);
}

END_TEST

/* However many are too old: nobody waits until all of them are seen to. */
START_TEST(the_old_are_seen_to_in_rounds)
{
	struct agent a = { .capacity = 50 };
	const struct destination *d;
	uint64_t now = 1000;
	int rounds = 0;

	setup(1, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 50001; i++)
		add("smtp://dead", 1, now);
	run(now);
	d = t.starts[0].d;
	done(0, WORK_UNREACHABLE, now);
	t.expired = ALL;
	now = run(now);
	ck_assert_uint_eq(run(now), now);
	ck_assert_uint_gt(d->nwaiting, 40000);
	for (; d->nwaiting > 0; rounds++)
		now = run(now);
	ck_assert_int_gt(rounds, 5);
	ck_assert_int_eq(t.nstarts, 1);
	ck_assert_uint_eq(schedule_count_put_off(&t.s), 0);
}

END_TEST

START_TEST(what_is_hurried_comes_first)
{
	struct agent a = { .capacity = 50 };
	struct rcpt *r;

	setup(5, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 10; i++)
		add("smtp://dead", 1, 1000);
	run(1000);
	done(0, WORK_UNREACHABLE, 1000);
	done(1, WORK_UNREACHABLE, 1000);
	r = &index_find_seq(&t.ix, 8)->rcpts[0];
	schedule_hurry(&t.s, r, 1100);
	run(1100);
	ck_assert_int_eq(t.nstarts, 3);
	ck_assert_ptr_eq(t.starts[2].first, r);
	/* Many of them stay in their order, in front of the others. */
	for (uint64_t seq = 5; seq <= 7; seq++)
		schedule_hurry(
		    &t.s, &index_find_seq(&t.ix, seq)->rcpts[0], 1200);
	for (int i = 2; i < 9; i++) {
		static const uint64_t order[] = { 8, 5, 6, 7, 3, 4, 9 };

		ck_assert_uint_eq(
		    rcpt_entry(t.starts[i].first)->seq, order[i - 2]);
		done(i, WORK_UNREACHABLE, 1200);
		run(1000000 * (uint64_t)i);
	}
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { put_off_ones_are_counted,
		the_line_of_the_unreachable_is_swept,
		what_is_hurried_comes_first,
		an_unreachable_destination_backs_off_alone,
		the_back_off_is_remembered_and_forgotten,
		the_old_are_seen_to_in_rounds, hurrying_ends_a_back_off };

	return PART_RUN("back_off", tests);
}
