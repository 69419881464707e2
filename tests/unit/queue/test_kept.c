/* How long what was removed is kept, and how much of it. */
#include "tests/unit/queue/undoing.h"

START_TEST(nothing_is_kept)
{
	set_undo(0);
	mail("a@x", "b@y");
	does(CHANGE_REMOVE);
	wait_for_none();
	ck_assert_str_eq(refusal(last), "1 nothing is kept (queue undo 0)");
	ck_assert_str_eq(operations(), "remove 1 7 t\n");
	/* What is kept goes when that is said. */
	set_undo(3600000);
	mail("a@x", "b@y");
	does(CHANGE_REMOVE);
	ck_assert_str_eq(
	    operations(), "remove 1 7 t until\nremove 1 7 t until\n");
	ck_assert_uint_eq(t.q->index.count, 1);
	set_undo(0);
	wait_for_none();
	ck_assert_str_eq(operations(), "remove 1 7 t\nremove 1 7 t\n");
}

END_TEST

START_TEST(its_time_is_over)
{
	set_undo(100);
	mail("a@x", "b@y");
	does(CHANGE_REMOVE);
	wait_for_none();
	while (strncmp(refusal(last), "1 operation", 11) != 0)
		continue;
	ck_assert_ptr_nonnull(strstr(said, " is too long ago (queue undo)"));
	ck_assert_str_eq(operations(), "remove 1 7 t\n");
}

END_TEST

/* It goes on where the records leave it: a restart is no new beginning. */
START_TEST(a_restart_keeps_no_longer)
{
	uint64_t due;

	set_undo(3600000);
	mail("a@x", "b@y");
	does(CHANGE_REMOVE);
	operations_find(t.q, last)->when_ms -= 3000000;
	/* Another one writes the list, the whole of it. */
	t.q->operations.room = 0;
	mail("c@x", "d@y");
	does(CHANGE_HOLD);
	restart(true);
	pace_now(&t.q->pace);
	due = index_from_seq(&t.q->index, 0)->rcpts[0].due_ms;
	ck_assert_uint_le(due, clock_mono_ms() + 600000);
	ck_assert_uint_ge(due, clock_mono_ms() + 500000);
}

END_TEST

static void
wait_kept(const struct entry *e)
{
	uint64_t end = clock_mono_ms() + WATCHDOG_MS;

	while (e->rcpts[0].place != PLACE_RETRY) {
		show();
		ck_assert_uint_lt(clock_mono_ms(), end);
	}
}

/* It failed and is kept; when its last recipient is removed after a while, that
 * can be had back for as long as one that is removed. */
START_TEST(removed_when_it_was_over)
{
	struct entry *e;

	new_agent(4);
	send_mail("", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_FAILED, "no");
	tell_result(&t.got[0], 1, OUTCOME_FAILED, "no");
	tell_done(&t.got[0], false);
	wait_shown("[ 2](b@y 4 1 550 5.1.1 no)(c@y 4 1 550 5.1.1 no)");
	e = index_from_seq(&t.q->index, 0);
	wait_kept(e);
	/* As if that was long ago. */
	retry_del(&t.q->retry, &e->rcpts[0]);
	retry_add(&t.q->retry, &e->rcpts[0], clock_mono_ms() + 60000);
	term(TERM_TO, "c@y", 0);
	does(CHANGE_REMOVE);
	wait_kept(e);
	ck_assert_uint_ge(
	    e->rcpts[0].due_ms, clock_mono_ms() + t.config->queue.undo - 60000);
	ck_assert_str_eq(undo(last), "0 1/1");
	ck_assert_str_eq(
	    show(), "[ 2](b@y 4 1 550 5.1.1 no)(c@y 4 1 550 5.1.1 no)");
}

END_TEST

/* Of many some are over for good. */
START_TEST(not_all_of_it)
{
	mail("one@x", "b@y");
	mail("two@x", "b@y");
	mail("three@x", "b@y");
	does(CHANGE_REMOVE);
	fate_finish(t.q, index_from_seq(&t.q->index, 0));
	pace_now(&t.q->pace);
	ck_assert_str_eq(undo_as(last, true), "0 2/3");
	ck_assert_str_eq(
	    refusal(last), "0 1 of 3 are not as they were left any more");
	ck_assert_str_eq(show(), "[two@x 0](b@y 0 0 )[three@x 0](b@y 0 0 )");
	restart(false);
	ck_assert_str_eq(show(), "[two@x 0](b@y 0 0 )[three@x 0](b@y 0 0 )");
}

END_TEST

/* What is kept takes no place from mail that comes. */
START_TEST(the_limit)
{
	t.config->queue.messages = 3;
	queue_set_config(t.q, t.config);
	for (int i = 0; i < 3; i++)
		mail("a@x", "b@y");
	ck_assert(t.q->was_full);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nrefused, 1);
	does(CHANGE_REMOVE);
	ck_assert(!t.q->was_full);
	for (int i = 0; i < 3; i++)
		mail("c@x", "d@y");
	ck_assert(t.q->was_full);
	/* More than there may be: they are let back, and nothing else. */
	ck_assert_str_eq(undo(last), "0 3/3");
	ck_assert_uint_eq(t.q->index.count, 6);
	ck_assert(t.q->was_full);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nrefused, 2);
	/* Nor is there an end of what is kept. */
	does(CHANGE_REMOVE);
	ck_assert(t.q->was_full);
}

END_TEST

static uint64_t
oldest(void)
{
	return operations_after(t.q, 0)->number;
}

/* Thousands, one operation each and one for all. */
START_TEST(thousands)
{
	enum { MANY = 2500 };

	uint64_t first = 0;

	for (int i = 0; i < MANY; i++)
		send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, MANY);
	for (int i = 0; i < 2100; i++) {
		term(TERM_LIMIT, NULL, 1);
		does(CHANGE_REMOVE);
		first = first == 0 ? last : first;
	}
	operations();
	ck_assert_uint_eq(t.operation, last);
	/* The list is no longer than it may be. */
	ck_assert_uint_eq(t.done.matched, OPERATIONS_MAX);
	ck_assert_str_eq(undo(first), "2 0/0");
	/* The oldest there is, whose place its own undoing would take. */
	ck_assert_str_eq(undo(oldest()), "0 1/1");
	ck_assert_str_eq(undo(last), "0 1/1");
	does(CHANGE_REMOVE);
	ck_assert_uint_eq(t.done.changed, MANY - 2098);
	restart(false);
	ck_assert_str_eq(show(), "");
	ck_assert_str_eq(undo(last), "0 402/402");
	restart(false);
	ck_assert_uint_eq(t.q->index.nstate[STATE_ACTIVE], 402);
}

END_TEST

/* The list cannot be written: it is done all the same. */
START_TEST(unsaved)
{
	char name[200];

	snprintf(name, sizeof(name), "%s/operations.new", t.dir);
	ck_assert_int_eq(mkdir(name, 0700), 0);
	mail("a@x", "b@y");
	does(CHANGE_REMOVE);
	ck_assert_str_eq(show(), "");
	ck_assert_str_eq(undo(last), "0 1/1");
	does(CHANGE_REMOVE);
	restart(true);
	/* Nobody knows of it: it is over. */
	ck_assert_str_eq(undo(last), "2 0/0");
	ck_assert_int_eq(rmdir(name), 0);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { nothing_is_kept, its_time_is_over,
		a_restart_keeps_no_longer, removed_when_it_was_over,
		not_all_of_it, the_limit, thousands, unsaved };

	return TESTS_RUN("kept", tests, undoing_setup, teardown, 120);
}
