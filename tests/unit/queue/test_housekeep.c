/* The order of housekeeping's jobs. */
#include "queue/housekeep.h"
#include "tests/unit/queue/parts.h"

enum { JOBS = 100 };

static struct named_job {
	struct job job;
	int name;
} jobs[JOBS];

static int worked[JOBS], nworked, ndone;

static void
work(struct job *j)
{
	worked[nworked++] = ((struct named_job *)j)->name;
}

static void
done(struct job *j)
{
	ck_assert(j->work == work);
	ndone++;
}

static void
post(struct housekeep *h, int name, bool urgent)
{
	jobs[name] = (struct named_job){ { .work = work, .done = done }, name };
	housekeep_post(h, &jobs[name].job, urgent);
}

static int
turn_of(int name)
{
	int i = 0;

	while (i < nworked && worked[i] != name)
		i++;
	ck_assert_int_lt(i, nworked);
	return i;
}

START_TEST(urgent_ones_first_and_in_their_order)
{
	struct loop *l = loop_new();
	struct housekeep *h = housekeep_new(l);

	nworked = ndone = 0;
	post(h, 0, false);
	post(h, 1, true);
	post(h, 2, true);
	post(h, 3, false);
	housekeep_drain(h);
	ck_assert_int_eq(ndone, 4);
	ck_assert_int_eq(worked[0], 1);
	ck_assert_int_eq(worked[1], 2);
	ck_assert_int_eq(worked[2], 0);
	ck_assert_int_eq(worked[3], 3);
	housekeep_free(&h);
	loop_free(&l);
}

END_TEST

START_TEST(nobody_waits_for_ever)
{
	struct loop *l = loop_new();
	struct housekeep *h = housekeep_new(l);

	nworked = ndone = 0;
	post(h, 0, false);
	for (int i = 1; i < JOBS; i++)
		post(h, i, true);
	housekeep_drain(h);
	ck_assert_int_eq(ndone, JOBS);
	ck_assert_int_lt(turn_of(0), JOBS / 2);
	ck_assert_int_lt(turn_of(1), turn_of(2));
	housekeep_free(&h);
	loop_free(&l);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { urgent_ones_first_and_in_their_order,
		nobody_waits_for_ever };

	return PART_RUN("housekeep", tests);
}
