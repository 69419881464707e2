/* What was removed (held, released) is as it was before, also after restarts;
 * what cannot be taken back is refused by name. */
#include "tests/unit/queue/undoing.h"

enum { OTHER = 2 }; /* of the actions of house.h */

START_TEST(what_waits)
{
	mail("a@x", "b@y");
	comes_back("[a@x 0](b@y 0 0 )");
	new_agent(4);
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_done(&t.got[0], false);
	wait_shown("");
}

END_TEST

/* Its next try is when it was to be. */
START_TEST(what_is_deferred)
{
	uint64_t due;

	new_agent(4);
	mail("a@x", "b@y");
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 1](b@y 1 1 451 4.3.0 later)");
	due = index_from_seq(&t.q->index, 0)->rcpts[0].due_ms;
	comes_back("[a@x 1](b@y 1 1 451 4.3.0 later)");
	ck_assert_uint_le(
	    index_from_seq(&t.q->index, 0)->rcpts[0].due_ms, due + 2000);
	ck_assert_uint_ge(
	    index_from_seq(&t.q->index, 0)->rcpts[0].due_ms, due - 2000);
	change(CHANGE_FLUSH);
	new_agent(4);
	wait_for(&nwhole, 1);
	ck_assert_uint_eq(t.got[0].rcpts[0].attempts, 1);
}

END_TEST

START_TEST(what_is_held)
{
	mail("a@x", "b@y");
	change(CHANGE_HOLD);
	comes_back("[a@x 2](b@y 2 0 )");
}

END_TEST

START_TEST(what_is_quarantined)
{
	uint64_t since;

	how.start = START_QUARANTINED;
	how.filter = "scan";
	how.reason = "bad";
	mail("a@x", "b@y");
	ck_assert_str_eq(quarantine(), "[a@x scan: bad](b@y 6 0 bad)");
	since = t.quarantined_since;
	comes_back("[a@x 3](b@y 6 0 bad)");
	ck_assert_str_eq(quarantine(), "[a@x scan: bad](b@y 6 0 bad)");
	ck_assert_uint_eq(t.quarantined_since, since);
	does(CHANGE_REMOVE);
	ck_assert_str_eq(quarantine(), "");
}

END_TEST

START_TEST(what_failed)
{
	new_agent(4);
	send_mail("", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_FAILED, "no");
	tell_done(&t.got[0], false);
	wait_shown("[ 2](b@y 4 1 550 5.1.1 no)");
	comes_back("[ 2](b@y 4 1 550 5.1.1 no)");
}

END_TEST

/* Some of its recipients, by several operations. */
START_TEST(part_of_a_mail)
{
	uint64_t ops[2];

	send_mail(
	    "a@x", MAIL("b@y", "inside", "c@y", "inside", "d@y", "inside"));
	wait_for(&t.naccepted, 1);
	for (int i = 0; i < 2; i++) {
		term(TERM_TO, i == 0 ? "b@y" : "d@y", 0);
		does(CHANGE_REMOVE);
		ops[i] = last;
	}
	ck_assert_str_eq(show(), "[a@x 0](b@y 5 0 )(c@y 0 0 )(d@y 5 0 )");
	restart(false);
	ck_assert_str_eq(show(), "[a@x 0](b@y 5 0 )(c@y 0 0 )(d@y 5 0 )");
	ck_assert_str_eq(undo(ops[1]), "0 1/1");
	ck_assert_str_eq(show(), "[a@x 0](b@y 5 0 )(c@y 0 0 )(d@y 0 0 )");
	/* The rest goes, too; all of it is over, and part comes back. */
	does(CHANGE_REMOVE);
	ck_assert_str_eq(show(), "");
	restart(false);
	ck_assert_str_eq(undo(ops[0]), "0 1/1");
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )(c@y 5 0 )(d@y 5 0 )");
	restart(true);
	ck_assert_str_eq(undo(last), "0 1/1");
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )(c@y 0 0 )(d@y 0 0 )");
}

END_TEST

/* With an agent: removed only when the attempt is over; taken back before. */
START_TEST(what_is_with_an_agent)
{
	new_agent(4);
	mail("a@x", "b@y");
	wait_for(&nwhole, 1);
	does(CHANGE_REMOVE);
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )");
	ck_assert_str_eq(undo(last), "0 1/1");
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 1](b@y 1 1 451 4.3.0 later)");
	change(CHANGE_FLUSH);
	wait_for(&nwhole, 2);
	does(CHANGE_REMOVE);
	tell_result(&t.got[1], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[1], false);
	wait_shown("");
	ck_assert_str_eq(undo(last), "0 1/1");
	wait_for(&nwhole, 3);
	ck_assert_uint_eq(t.got[2].rcpts[0].attempts, 2);
	/* The wish, and then nobody sees the end of it. */
	does(CHANGE_REMOVE);
	restart(true);
	ck_assert_str_eq(show(), "");
	ck_assert_str_eq(undo(last), "0 1/1");
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 2 451 4.3.0 later)");
	/* Delivered all the same: there is nothing to take back. */
	new_agent(4);
	wait_for(&nwhole, 1);
	does(CHANGE_REMOVE);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_done(&t.got[0], false);
	wait_shown("");
	ck_assert_str_eq(undo(last), "2 0/1");
}

END_TEST

/* Removed while it is with an agent: what is changed after that does not take
 * the place of it, and all of it comes back. */
START_TEST(removed_twice)
{
	static const enum change later[] = { CHANGE_REMOVE, CHANGE_HOLD,
		CHANGE_RELEASE, CHANGE_REQUEUE };

	new_agent(4);
	mail("a@x", "b@y");
	wait_for(&nwhole, 1);
	does(CHANGE_REMOVE);
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		change(later[i]);
		ck_assert_uint_eq(t.done.code, ANSWER_OK);
		ck_assert_uint_eq(t.done.changed, 0);
	}
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_shown("");
	restart(true);
	ck_assert_str_eq(undo(last), "0 1/1");
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 1 451 4.3.0 later)");
}

END_TEST

/* Sent elsewhere and then removed (held) while it is with an agent: what comes
 * back goes elsewhere; also when nobody saw the end of the attempt. */
static void
goes_elsewhere(enum change then, bool crash)
{
	struct rule rule = { .verdict = VERDICT_ACTION,
		.action = &t.config->actions[OTHER] };

	t.config->rules = &rule;
	t.config->nrules = 1;
	new_agent(4);
	mail("a@x", "b@y");
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].action, "inside");
	change(CHANGE_REQUEUE);
	does(then);
	if (crash) {
		restart(false);
		new_agent(4);
	} else {
		tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
		tell_done(&t.got[0], false);
		wait_shown(then == CHANGE_REMOVE ?
			       "" :
			       "[a@x 2](b@y 2 1 451 4.3.0 later)");
	}
	ck_assert_str_eq(undo(last), "0 1/1");
	wait_for(&nwhole, crash ? 1 : 2);
	ck_assert_str_eq(t.got[crash ? 0 : 1].action, "other");
	t.config->rules = NULL;
	t.config->nrules = 0;
}

START_TEST(requeued_before)
{
	goes_elsewhere(_i < 2 ? CHANGE_REMOVE : CHANGE_HOLD, _i % 2 == 1);
}

END_TEST

START_TEST(hold_and_release)
{
	uint64_t held;

	mail("a@x", "b@y");
	does(CHANGE_HOLD);
	held = last;
	ck_assert_str_eq(show(), "[a@x 2](b@y 2 0 )");
	restart(false);
	ck_assert_str_eq(undo(held), "0 1/1");
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )");
	does(CHANGE_HOLD);
	held = last;
	does(CHANGE_RELEASE);
	restart(false);
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )");
	/* It is not the hold any more that it is what it is by. */
	ck_assert_str_eq(undo(held), "2 0/1");
	ck_assert_str_eq(undo(last), "0 1/1");
	ck_assert_str_eq(show(), "[a@x 2](b@y 2 0 )");
	restart(true);
	ck_assert_str_eq(show(), "[a@x 2](b@y 2 0 )");
}

END_TEST

START_TEST(refused_by_name)
{
	char words[200];
	uint64_t removed;

	ck_assert_str_eq(
	    refusal(0), "1 a dry run (operation 0) has changed nothing");
	ck_assert_str_eq(
	    refusal(12345), "2 no such operation, or it is too long ago");
	mail("a@x", "b@y");
	change(CHANGE_FLUSH);
	snprintf(words, sizeof(words),
	    "1 operation %llu (flush) cannot be undone",
	    (unsigned long long)t.done.operation);
	ck_assert_str_eq(refusal(t.done.operation), words);
	does(CHANGE_REMOVE);
	removed = last;
	ck_assert_str_eq(undo_as(removed, true), "0 1/1");
	ck_assert_str_eq(show(), "");
	ck_assert_uint_eq(t.done.operation, 0);
	ck_assert_str_eq(undo(removed), "0 1/1");
	last = t.done.operation;
	snprintf(words, sizeof(words),
	    "1 operation %llu was undone by operation %llu",
	    (unsigned long long)removed, (unsigned long long)last);
	ck_assert_str_eq(refusal(removed), words);
	restart(true);
	ck_assert_str_eq(refusal(removed), words);
	snprintf(words, sizeof(words),
	    "1 operation %llu (undo) cannot be undone",
	    (unsigned long long)last);
	ck_assert_str_eq(refusal(last), words);
	snprintf(words, sizeof(words),
	    "flush 1 7 t\nremove 1 7 t\nundo %llu 1 8 sorry\n",
	    (unsigned long long)removed);
	ck_assert_str_eq(operations(), words);
}

END_TEST

/* Its body stays as long as it does, and is there when it is back. */
static void
on_bodyfile(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	ck_assert_ptr_null(fault);
	ck_assert_uint_eq(type, TYPE_answer_bodyfile);
	t.bodyfile = *(const struct answer_bodyfile *)msg;
	++*(int *)ctx;
	seen();
}

static bool
has_body(uint64_t number)
{
	int fd = store_bodyfile_open(t.q->store, number);

	if (fd == -1)
		return false;
	close(fd);
	return true;
}

START_TEST(a_large_one)
{
	struct ask_bodyfile m = { 0 };
	uint64_t number;
	int n = 0;

	channel_ask(t.smtpd, TYPE_ask_bodyfile, &m, on_bodyfile, &n);
	wait_for(&n, 1);
	ck_assert_int_eq(write(t.bodyfile.file, "large", 5), 5);
	close(t.bodyfile.file);
	number = bodyfile_number = t.bodyfile.bodyfile;
	bodyfile_size = 5;
	mail("a@x", "b@y");
	bodyfile_number = bodyfile_size = 0;
	comes_back("[a@x 0](b@y 0 0 )");
	ck_assert(has_body(number));
	new_agent(4);
	wait_for(&nwhole, 1);
	ck_assert_int_ne(t.got[0].file, -1);
	ck_assert_uint_eq(t.got[0].head.body_size, 5);
	close(t.got[0].file);
	does(CHANGE_REMOVE);
	restart(true);
	ck_assert(has_body(number));
	set_undo(0);
	wait_for_none();
	pace_now(&t.q->pace);
	ck_assert(!has_body(number));
	restart(true);
	ck_assert(!has_body(number));
}

END_TEST

START_TEST(the_trace_tells)
{
	mail("a@x", "b@y");
	does(CHANGE_REMOVE);
	ck_assert_ptr_nonnull(strstr(trace(last_id), "removed to=b@y\n"));
	undo(last);
	ck_assert_ptr_nonnull(strstr(trace(last_id), "\nrestored to=b@y "));
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { what_waits, what_is_deferred,
		what_is_held, what_is_quarantined, what_failed, part_of_a_mail,
		what_is_with_an_agent, removed_twice, hold_and_release,
		refused_by_name, a_large_one, the_trace_tells };
	TCase *c = TESTS_NEW("undo", tests, undoing_setup, teardown, 120);

	tcase_add_loop_test(c, requeued_before, 0, 4);
	return tests_run_case("undo", c);
}
