/* The scheduler alone: turns, concurrency, capacity, back-off, rate. */
#include <string.h>

#include "queue/schedule.h"
#include "tests/unit/queue/parts.h"

enum { STARTS_MAX = 4000 };

static struct {
	struct index ix;
	struct schedule s;
	struct deliver_numbers numbers;
	struct word *action;
	uint64_t seq;
	uint64_t expired; /* a message's seq that is not admitted */

	struct start {
		struct destination *d;
		struct agent *a;
		struct rcpt *first;
		uint32_t nrcpt;
	} starts[STARTS_MAX];

	int nstarts;
} t;

static bool
admit(void *ctx, const struct destination *d, struct rcpt *r)
{
	(void)ctx, (void)d;
	return rcpt_entry(r)->seq != t.expired;
}

static void
start(void *ctx, struct destination *d, struct agent *a,
    struct rcpt_list *rcpts, uint32_t nrcpt)
{
	struct rcpt *r;

	(void)ctx;
	ck_assert_int_lt(t.nstarts, STARTS_MAX);
	t.starts[t.nstarts++] =
	    (struct start){ d, a, TAILQ_FIRST(rcpts), nrcpt };
	TAILQ_FOREACH(r, rcpts, link)
		r->place = PLACE_WORK;
}

static const struct schedule_ops ops = { admit, start };

static void
setup(uint64_t concurrency, uint64_t rcpts)
{
	memset(&t, 0, sizeof(t));
	index_init(&t.ix);
	schedule_init(&t.s, &ops, NULL, &t.ix.words);
	t.action = word_get(&t.ix.words, STR("act"));
	t.numbers.concurrency = concurrency;
	t.numbers.recipients = rcpts;
}

static void
add(const char *hops, uint32_t nrcpt, uint64_t now)
{
	struct entry *e = part_entry(&t.ix, ++t.seq, nrcpt, "x", "act");
	struct route to = { .pool = POOL_DELIVERY,
		.action = t.action,
		.hops = str_of(hops),
		.numbers = &t.numbers,
		.numbers_hash = schedule_hash(&t.numbers) };

	for (uint32_t i = 0; i < nrcpt; i++)
		schedule_add(&t.s, &e->rcpts[i], &to, now);
}

static void
done(int n, enum work_end end, uint64_t now)
{
	schedule_done(&t.s, t.starts[n].d, t.starts[n].a, end, now);
}

START_TEST(destinations_take_turns)
{
	struct agent a = { .capacity = 6 };

	setup(100, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 100; i++)
		add("smtp://big", 1, 0);
	add("smtp://small", 1, 0);
	ck_assert_uint_eq(schedule_run(&t.s, 0), 0);
	ck_assert_int_eq(t.nstarts, 6);
	ck_assert(str_eq(t.starts[1].d->hops, STR("smtp://small")));
	done(0, WORK_DONE, 0);
	schedule_run(&t.s, 0);
	ck_assert_int_eq(t.nstarts, 7);
}

END_TEST

START_TEST(bounds_hold)
{
	struct agent a = { .capacity = 50 }, b = { .capacity = 50 };

	setup(3, 2);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	schedule_add_agent(&t.s, &b, POOL_DELIVERY);
	add("smtp://one", 5, 0);
	add("smtp://one", 5, 0);
	schedule_run(&t.s, 0);
	/* Three works of at most two recipients, of one message each. */
	ck_assert_int_eq(t.nstarts, 3);
	ck_assert_uint_eq(t.starts[0].nrcpt, 2);
	ck_assert_uint_eq(t.starts[1].nrcpt, 2);
	ck_assert_uint_eq(t.starts[2].nrcpt, 1);
	/* The agent that knows the destination keeps it. */
	ck_assert_ptr_eq(t.starts[1].a, t.starts[0].a);
	done(1, WORK_DONE, 0);
	schedule_run(&t.s, 0);
	ck_assert_int_eq(t.nstarts, 4);
	a.blocked = b.blocked = true;
	done(0, WORK_DONE, 0);
	schedule_run(&t.s, 0);
	ck_assert_int_eq(t.nstarts, 4);
}

END_TEST

START_TEST(an_unreachable_destination_backs_off_alone)
{
	struct agent a = { .capacity = 50 };

	setup(2, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 5; i++)
		add("smtp://dead", 1, 1000);
	ck_assert_uint_eq(schedule_run(&t.s, 1000), 0);
	ck_assert_int_eq(t.nstarts, 2);
	done(0, WORK_UNREACHABLE, 1000);
	done(1, WORK_UNREACHABLE, 1001);
	ck_assert_uint_eq(schedule_run(&t.s, 1001), 2000);
	ck_assert_int_eq(t.nstarts, 2);
	add("smtp://alive", 1, 1500);
	schedule_run(&t.s, 1500);
	ck_assert_int_eq(t.nstarts, 3);
	/* One probe, not a flood. */
	schedule_run(&t.s, 2000);
	ck_assert_int_eq(t.nstarts, 4);
	done(3, WORK_UNREACHABLE, 2100);
	ck_assert_uint_eq(schedule_run(&t.s, 2100), 4100);
	schedule_run(&t.s, 4100);
	ck_assert_int_eq(t.nstarts, 5);
	done(4, WORK_DONE, 4200);
	schedule_run(&t.s, 4200);
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
	schedule_run(&t.s, 1000);
	done(0, WORK_UNREACHABLE, 1000);
	add("smtp://dead", 1, 1100);
	ck_assert_uint_eq(schedule_run(&t.s, 1100), 2000);
	schedule_run(&t.s, 2000);
	ck_assert_int_eq(t.nstarts, 2);
	done(1, WORK_UNREACHABLE, 2000);
	next = schedule_run(&t.s, 2000);
	ck_assert_uint_gt(next, 60000);
	schedule_run(&t.s, next);
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
	schedule_run(&t.s, 1000);
	done(0, WORK_UNREACHABLE, 1000);
	add("smtp://dead", 1, 1100);
	schedule_run(&t.s, 1100);
	e = index_find_seq(&t.ix, 2);
	schedule_hurry(&t.s, &e->rcpts[0], 1200);
	schedule_run(&t.s, 1200);
	ck_assert_int_eq(t.nstarts, 2);
}

END_TEST

START_TEST(a_rate_spaces_works)
{
	struct agent a = { .capacity = 500 };
	uint64_t now = 100000, end = now + 60000;

	setup(500, 10);
	t.numbers.rate = 60;
	t.numbers.rate_period = 60000;
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	for (int i = 0; i < 200; i++)
		add("smtp://slow", 1, now);
	while (now < end) {
		uint64_t next = schedule_run(&t.s, now);

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
	schedule_run(&t.s, 0);
	ck_assert_int_eq(t.nstarts, 1);
	ck_assert_uint_eq(t.starts[0].nrcpt, 2);
	ck_assert_uint_eq(rcpt_entry(t.starts[0].first)->seq, 2);
}

END_TEST

START_TEST(put_back_comes_first_again)
{
	struct agent a = { .capacity = 1 }, b = { .capacity = 1 };
	struct rcpt_list back = TAILQ_HEAD_INITIALIZER(back);

	setup(5, 10);
	schedule_add_agent(&t.s, &a, POOL_DELIVERY);
	add("smtp://one", 1, 0);
	add("smtp://one", 1, 0);
	schedule_run(&t.s, 0);
	ck_assert_int_eq(t.nstarts, 1);
	TAILQ_INSERT_TAIL(&back, t.starts[0].first, link);
	schedule_put_back(t.starts[0].d, &back);
	done(0, WORK_LOST, 0);
	schedule_del_agent(&t.s, &a);
	schedule_run(&t.s, 0);
	ck_assert_int_eq(t.nstarts, 1);
	schedule_add_agent(&t.s, &b, POOL_DELIVERY);
	schedule_run(&t.s, 0);
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
	ck_assert(RB_EMPTY(&t.s.destinations));
	ck_assert(RB_EMPTY(&t.s.sleepers));
	ck_assert_uint_eq(schedule_run(&t.s, 1), 0);
	schedule_clear(&t.s);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { destinations_take_turns, bounds_hold,
		an_unreachable_destination_backs_off_alone,
		the_back_off_is_remembered_and_forgotten,
		hurrying_ends_a_back_off, a_rate_spaces_works,
		what_expired_is_passed_over, put_back_comes_first_again,
		taking_out_leaves_nothing_behind };

	return PART_RUN("schedule", tests);
}
