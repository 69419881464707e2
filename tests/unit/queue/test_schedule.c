/* The scheduler alone: turns, concurrency, capacity, rate. */
#include "tests/unit/queue/scheduling.h"

/* n mails go there and are delivered, one by one. */
static void
prove(const char *hops, int n, uint64_t now)
{
	for (int i = 0; i < n; i++) {
		add(hops, 1, now);
		run(now);
		done(t.nstarts - 1, WORK_DONE, now);
	}
}

START_TEST(destinations_take_turns)
{
	struct agent a = { .capacity = 6 };
	int n;

	setup(100, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	prove("smtp://big", 20, 0);
	n = t.nstarts;
	for (int i = 0; i < 100; i++)
		add("smtp://big", 1, 0);
	add("smtp://small", 1, 0);
	run(0);
	ck_assert_int_eq(t.nstarts, n + 6);
	ck_assert(str_eq(t.starts[n].d->hops, STR("smtp://small")) ||
		  str_eq(t.starts[n + 1].d->hops, STR("smtp://small")));
	done(n + 3, WORK_DONE, 0);
	run(0);
	ck_assert_int_eq(t.nstarts, n + 7);
}

END_TEST

START_TEST(bounds_hold)
{
	struct agent a = { .capacity = 50 }, b = { .capacity = 50 };
	int n;

	setup(3, 2);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	schedule_add_agent(&t.s, &b, POOL_DELIVERY);
	prove("smtp://one", 5, 0);
	n = t.nstarts;
	add("smtp://one", 5, 0);
	add("smtp://one", 5, 0);
	run(0);
	/* Three works of at most two recipients, of one message each. */
	ck_assert_int_eq(t.nstarts, n + 3);
	ck_assert_uint_eq(t.starts[n].nrcpt, 2);
	ck_assert_uint_eq(t.starts[n + 1].nrcpt, 2);
	ck_assert_uint_eq(t.starts[n + 2].nrcpt, 1);
	/* The agent that knows the destination keeps it. */
	ck_assert_ptr_eq(t.starts[n].a, t.starts[0].a);
	ck_assert_ptr_eq(t.starts[n + 1].a, t.starts[0].a);
	done(n + 1, WORK_DONE, 0);
	run(0);
	ck_assert_int_eq(t.nstarts, n + 4);
	a.blocked = b.blocked = true;
	done(n, WORK_DONE, 0);
	run(0);
	ck_assert_int_eq(t.nstarts, n + 4);
}

END_TEST

START_TEST(the_window_grows_and_falls)
{
	struct agent a = { .capacity = 50 };

	setup(20, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 100; i++)
		add("smtp://one", 1, 0);
	run(0);
	ck_assert_int_eq(t.nstarts, 2);
	for (int i = 0; i < 18; i++) {
		done(i, WORK_DONE, 0);
		run(0);
		/* The one that ended, and one more. */
		ck_assert_int_eq(t.nstarts, 2 + 2 * (i + 1));
	}
	ck_assert_uint_eq(t.starts[0].d->nflight, 20);
	done(18, WORK_DONE, 0);
	run(0);
	ck_assert_uint_eq(t.starts[0].d->nflight, 20);
	/* The first of them that cannot reach it ends that. */
	for (int i = 19; i < t.nstarts; i++)
		done(i, WORK_UNREACHABLE, 10);
	run(1010);
	ck_assert_uint_eq(t.starts[0].d->nflight, 1);
	done(t.nstarts - 1, WORK_DONE, 1020);
	run(1020);
	ck_assert_uint_eq(t.starts[0].d->nflight, 2);
}

END_TEST

START_TEST(a_configured_concurrency_of_one_wins)
{
	struct agent a = { .capacity = 50 };

	setup(1, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	prove("smtp://one", 3, 0);
	add("smtp://one", 1, 0);
	add("smtp://one", 1, 0);
	run(0);
	ck_assert_int_eq(t.nstarts, 4);
}

END_TEST

START_TEST(the_window_outlives_a_pause)
{
	struct agent a = { .capacity = 50 };

	setup(20, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	prove("smtp://one", 18, 0);
	for (int i = 0; i < 30; i++)
		add("smtp://one", 1, 50000);
	run(50000);
	ck_assert_int_eq(t.nstarts, 18 + 20);
	for (int i = 18; i < 48; i++) {
		done(i, WORK_DONE, 50000);
		run(50000);
	}
	/* and is forgotten after a longer one */
	ck_assert_uint_eq(run(50000), 110000);
	run(110000);
	ck_assert(RB_EMPTY(&t.s.destinations));
}

END_TEST

START_TEST(a_rate_spaces_works)
{
	struct agent a = { .capacity = 500 };
	uint64_t now = 100000, end = now + 60000;
	int ndone = 0;

	setup(500, 10);
	t.numbers.rate = 60;
	t.numbers.rate_period = 60000;
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 200; i++)
		add("smtp://slow", 1, now);
	while (now < end) {
		uint64_t next;

		run(now);
		for (; ndone < t.nstarts; ndone++)
			done(ndone, WORK_DONE, now);
		next = run(now);
		ck_assert_uint_gt(next, now);
		now = next;
	}
	ck_assert_int_ge(t.nstarts, 60);
	ck_assert_int_le(t.nstarts, 62);
}

END_TEST

START_TEST(what_expired_is_passed_over)
{
	struct agent a = { .capacity = 5 };

	setup(5, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	t.expired = 1;
	add("smtp://one", 3, 0);
	add("smtp://one", 2, 0);
	run(0);
	ck_assert_int_eq(t.nstarts, 1);
	ck_assert_uint_eq(t.starts[0].nrcpt, 2);
	ck_assert_uint_eq(rcpt_entry(t.starts[0].first)->seq, 2);
}

END_TEST

/* As many as the limit says, also more than one a millisecond. */
START_TEST(a_high_rate_is_a_rate)
{
	struct agent a = { .capacity = 500 };
	uint64_t now = 100000, end = now + 1000;
	int ndone = 0;

	setup(500, 10);
	t.numbers.rate = 90000;
	t.numbers.rate_period = 60000;
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 3900; i++)
		add("smtp://fast", 1, now);
	for (; now < end; now++) {
		run(now);
		for (; ndone < t.nstarts; ndone++)
			done(ndone, WORK_DONE, now);
	}
	/* 1500 a second, and those that were not used before. */
	ck_assert_int_ge(t.nstarts, 2 * 1500 - 10);
	ck_assert_int_le(t.nstarts, 2 * 1500 + 10);
}

END_TEST

START_TEST(put_back_comes_first_again)
{
	struct agent a = { .capacity = 1 }, b = { .capacity = 1 };
	struct route to;

	setup(5, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	add("smtp://one", 1, 0);
	add("smtp://one", 1, 0);
	run(0);
	ck_assert_int_eq(t.nstarts, 1);
	t.starts[0].first->place = PLACE_NONE;
	to = route_to("smtp://one");
	schedule_add_first(&t.s, t.starts[0].first, &to, 0);
	done(0, WORK_LOST, 0);
	schedule_del_agent(&t.s, &a);
	run(0);
	ck_assert_int_eq(t.nstarts, 1);
	schedule_add_agent(&t.s, &b, POOL_DELIVERY);
	run(0);
	ck_assert_int_eq(t.nstarts, 2);
	ck_assert_ptr_eq(t.starts[1].first, t.starts[0].first);
}

END_TEST

START_TEST(taking_out_leaves_nothing_behind)
{
	struct rcpt_list all = TAILQ_HEAD_INITIALIZER(all);
	struct entry *e;

	setup(5, 10);
	add("smtp://one", 1, 0);
	add("smtp://two", 2, 0);
	e = index_find_seq(&t.ix, 1);
	schedule_del(&t.s, &e->rcpts[0]);
	ck_assert_int_eq(e->rcpts[0].place, PLACE_NONE);
	schedule_take_all(&t.s, &all);
	ck_assert_ptr_eq(
	    rcpt_entry(TAILQ_FIRST(&all)), index_find_seq(&t.ix, 2));
	ck_assert_uint_eq(run(1), 0);
	ck_assert(RB_EMPTY(&t.s.destinations));
	ck_assert(RB_EMPTY(&t.s.sleepers));
	schedule_clear(&t.s);
}

END_TEST

/* Half of the places for the slow ones, a quarter for the proven alone. */
START_TEST(classes_leave_room)
{
	struct agent a = { .capacity = 40 };
	char hops[32];
	int n;

	setup(20, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	prove("smtp://good", 20, 0);
	n = t.nstarts;
	for (int i = 0; i < 60; i++) {
		snprintf(hops, sizeof(hops), "smtp://new%d", i);
		add(hops, 1, 0);
	}
	run(0);
	ck_assert_int_eq(t.nstarts, n + 30);
	/* They turn out to be slow: nothing more for such, but the good one
	 * has its places. */
	for (int i = 0; i < 20; i++)
		add("smtp://good", 1, 6000);
	run(6000);
	ck_assert_int_eq(t.nstarts, n + 40);
	for (int i = n + 30; i < n + 40; i++)
		ck_assert(str_eq(t.starts[i].d->hops, STR("smtp://good")));
	/* Slow ones that end make place for new ones first. */
	for (int i = n; i < n + 5; i++)
		done(i, WORK_DONE, 7000);
	for (int i = 0; i < 9; i++)
		done(n + 30 + i, WORK_DONE, 7000);
	ck_assert_uint_eq(t.starts[n].d->class, CLASS_BAD);
	run(7000);
	ck_assert_uint_le(
	    t.s.pools[0].nflight[CLASS_BAD] + t.s.pools[0].nflight[CLASS_NEW],
	    30);
	ck_assert_uint_eq(t.s.pools[0].nflight[CLASS_NEW], 5);
}

END_TEST

START_TEST(a_place_is_always_found)
{
	struct agent a = { .capacity = 1 };

	setup(20, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	add("smtp://one", 1, 0);
	run(0);
	ck_assert_int_eq(t.nstarts, 1);
	done(0, WORK_UNREACHABLE, 6000);
	add("smtp://one", 1, 6000);
	run(7000);
	ck_assert_int_eq(t.nstarts, 2);
}

END_TEST

START_TEST(a_cursor_survives_changes)
{
	struct agent a = { .capacity = 0 };
	struct route at = { 0 };
	const struct destination *d;
	char hops[32], seen[32];
	int n = 0;

	setup(5, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 30; i++) {
		snprintf(hops, sizeof(hops), "smtp://%02d", i);
		add(hops, 1, 0);
	}
	while ((d = schedule_after(&t.s, &at)) != NULL) {
		snprintf(hops, sizeof(hops), "smtp://%02d", n++);
		ck_assert(str_eq(d->hops, str_of(hops)));
		/* The first half of them goes, one behind the cursor. */
		memcpy(seen, hops, sizeof(seen));
		at = (struct route){ .action = t.action,
			.hops = str_of(seen),
			.numbers_hash = d->numbers_hash };
		if (n <= 15)
			schedule_del(&t.s,
			    &index_find_seq(&t.ix, (uint64_t)n)->rcpts[0]);
		run(1);
	}
	ck_assert_int_eq(n, 30);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { destinations_take_turns, bounds_hold,
		the_window_grows_and_falls,
		a_configured_concurrency_of_one_wins,
		the_window_outlives_a_pause, classes_leave_room,
		a_place_is_always_found, a_cursor_survives_changes,
		a_rate_spaces_works, a_high_rate_is_a_rate,
		what_expired_is_passed_over, put_back_comes_first_again,
		taking_out_leaves_nothing_behind };

	return PART_RUN("schedule", tests);
}
