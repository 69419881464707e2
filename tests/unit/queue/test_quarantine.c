/* Quarantine: in, out, by whom, and what is left of it after a restart. */
#include "tests/unit/queue/house.h"

static void
send_quarantined(const char *from, const char *const *to)
{
	how.start = START_QUARANTINED;
	how.filter = "scan";
	how.reason = "it smells";
	how.context = "c";
	send_mail(from, to);
	wait_for(&t.naccepted, t.naccepted + 1);
	memset(&how, 0, sizeof(how));
}

#define SMELLS "[a@x 3](b@y 6 0 it smells)"

START_TEST(it_is_not_delivered)
{
	new_agent(4);
	send_quarantined("a@x", MAIL("b@y", "inside"));
	ck_assert_str_eq(show(), SMELLS);
	send_mail("a@x", MAIL("c@y", "inside"));
	wait_for(&nwhole, 1);
	ck_assert_int_eq(t.ngot, 1);
	ck_assert_str_eq(t.got[0].rcpts[0].to, "c@y");
	ck_assert_uint_eq(t.q->index.nstate[STATE_QUARANTINED], 1);
}

END_TEST

/* With nothing but the record of the mail, and with states. */
START_TEST(a_restart_leaves_it_there)
{
	send_quarantined("a@x", MAIL("b@y", "inside"));
	for (int i = 0; i < 3; i++) {
		stop_queue(i > 0);
		start_queue();
		ck_assert_str_eq(show(), SMELLS);
		ck_assert_str_eq(
		    quarantine(), "[a@x scan: it smells](b@y 6 0 it smells)");
		fate_restate(t.q, index_from_seq(&t.q->index, 0));
	}
	new_agent(4);
	change(CHANGE_UNQUARANTINE);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].rcpts[0].to, "b@y");
}

END_TEST

START_TEST(only_its_own_changes_touch_it)
{
	static const enum change others[] = { CHANGE_FLUSH, CHANGE_HOLD,
		CHANGE_RELEASE, CHANGE_REQUEUE };

	send_quarantined("a@x", MAIL("b@y", "inside"));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		change(others[i]);
		ck_assert_uint_eq(t.done.matched, 1);
		ck_assert_uint_eq(t.done.changed, 0);
	}
	ck_assert_str_eq(show(), SMELLS);
	/* And theirs nothing else. */
	send_mail("c@x", MAIL("d@y", "inside"));
	wait_for(&t.naccepted, 2);
	term(TERM_FROM, "c@x", 0);
	change(CHANGE_UNQUARANTINE);
	ck_assert_uint_eq(t.done.changed, 0);
	term(TERM_FROM, "c@x", 0);
	change(CHANGE_REJECT);
	ck_assert_uint_eq(t.done.changed, 0);
	term(TERM_FROM, "c@x", 0);
	change(CHANGE_RESCAN);
	ck_assert_uint_eq(t.done.changed, 0);
}

END_TEST

START_TEST(released_for_good)
{
	send_quarantined("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	term(TERM_TO, "c@y", 0);
	change(CHANGE_UNQUARANTINE);
	ck_assert_uint_ne(t.done.operation, 0);
	ck_assert_str_eq(show(), "[a@x 0](b@y 6 0 it smells)(c@y 0 0 )");
	stop_queue(false);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 0](b@y 6 0 it smells)(c@y 0 0 )");
	new_agent(4);
	wait_for(&nwhole, 1);
	ck_assert_uint_eq(t.got[0].nrcpts, 1);
	ck_assert_str_eq(t.got[0].rcpts[0].to, "c@y");
}

END_TEST

START_TEST(removed)
{
	send_quarantined("a@x", MAIL("b@y", "inside"));
	change(CHANGE_REMOVE);
	ck_assert_uint_eq(t.done.changed, 1);
	ck_assert_str_eq(show(), "");
	stop_queue(false);
	start_queue();
	ck_assert_str_eq(show(), "");
	ck_assert_str_eq(quarantine(), "");
}

END_TEST

static void
reject(const char *reason)
{
	struct ask_change m = {
		.change = CHANGE_REJECT, .reason = str_of(reason), .uid = 7
	};

	ask(TYPE_ask_change, &m);
}

static void
check_rejected(const char *reason, const char *reply)
{
	int n = nwhole;
	char rows[200];

	send_quarantined("a@x", MAIL("b@y", "inside"));
	reject(reason);
	ck_assert_uint_eq(t.done.changed, 1);
	wait_for(&nwhole, n + 1);
	ck_assert_str_eq(t.got[t.ngot - 1].rcpts[0].to, "a@x");
	ck_assert_ptr_nonnull(strstr(t.got[t.ngot - 1].content, reply));
	tell_result(&t.got[t.ngot - 1], 0, OUTCOME_DELIVERED, "ok");
	tell_done(&t.got[t.ngot - 1], false);
	snprintf(rows, sizeof(rows), "[a@x 2](b@y 4 0 %s)", reply);
	term(TERM_STATE, "bounced", 0);
	ck_assert_str_eq(show(), rows);
	change(CHANGE_REMOVE);
}

START_TEST(rejected_with_a_report)
{
	new_agent(10);
	check_rejected("", "554 5.7.1 Message refused");
	check_rejected("not here", "554 5.7.1 not here");
	check_rejected("550 5.7.9 never", "550 5.7.9 never");
}

END_TEST

START_TEST(found_by_state_and_filter)
{
	send_quarantined("a@x", MAIL("b@y", "inside"));
	send_mail("c@x", MAIL("d@y", "inside"));
	wait_for(&t.naccepted, 2);
	term(TERM_STATE, "quarantined", 0);
	ck_assert_str_eq(show(), SMELLS);
	term(TERM_MILTER, "scan", 0);
	ck_assert_str_eq(show(), SMELLS);
	term(TERM_MILTER, "other", 0);
	ck_assert_str_eq(show(), "");
	term(TERM_MILTER, "scan", 0);
	change(CHANGE_REMOVE);
	ck_assert_str_eq(show(), "[c@x 0](d@y 0 0 )");
}

END_TEST

START_TEST(listed_with_its_times)
{
	uint64_t now = clock_wall_ms();

	send_quarantined("a@x", MAIL("b@y", "inside"));
	quarantine();
	ck_assert_uint_ge(t.quarantined_since + 100, now);
	ck_assert_uint_le(t.quarantined_since, now + WATCHDOG_MS);
	ck_assert_uint_ge(
	    t.quarantined_expires + 100, now + t.config->queue.quarantine_ttl);
	t.config->queue.quarantine_ttl = 0;
	queue_set_config(t.q, t.config);
	quarantine();
	ck_assert_uint_eq(t.quarantined_expires, 0);
	ck_assert_uint_ge(t.quarantined_since + 100, now);
}

END_TEST

/* Whatever time is counted for its end. */
START_TEST(since_when_is_not_forgotten)
{
	uint64_t then = clock_wall_ms() - 7200000;

	t.received_ms = then;
	send_quarantined("a@x", MAIL("b@y", "inside"));
	for (int i = 0; i < 3; i++) {
		quarantine();
		ck_assert_uint_eq(t.quarantined_since, then);
		fate_restate(t.q, index_from_seq(&t.q->index, 0));
		stop_queue(true);
		start_queue();
	}
}

END_TEST

/* The time it was there before the restart counts. */
START_TEST(its_time_ends)
{
	t.received_ms = clock_wall_ms() - 7200000;
	send_quarantined("a@x", MAIL("b@y", "inside"));
	t.received_ms = 0;
	send_quarantined("c@x", MAIL("d@y", "inside"));
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(
	    show(), "[a@x 3](b@y 6 0 it smells)[c@x 3](d@y 6 0 it smells)");
	t.config->queue.quarantine_ttl = 3600000;
	queue_set_config(t.q, t.config);
	wait_shown("[c@x 3](d@y 6 0 it smells)");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "[c@x 3](d@y 6 0 it smells)");
}

END_TEST

/* What is over has told the time, too. */
START_TEST(its_time_ends_beside_others)
{
	t.received_ms = clock_wall_ms() - 7200000;
	send_quarantined("a@x", MAIL("b@y", "inside"));
	t.received_ms = 0;
	send_mail("c@x", MAIL("d@y", "drop"));
	wait_for(&t.naccepted, 2);
	wait_shown(SMELLS);
	stop_queue(true);
	t.config->queue.quarantine_ttl = 3600000;
	start_queue();
	wait_shown("");
}

END_TEST

/* The rules of today set it aside. */
START_TEST(requeued_into_it)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	t.config->rules = xcalloc(1, sizeof(struct rule));
	t.config->nrules = 1;
	t.config->rules[0] = (struct rule){ .line = 7,
		.verdict = VERDICT_QUARANTINE,
		.action = &t.config->actions[2] };
	change(CHANGE_REQUEUE);
	ck_assert_uint_eq(t.done.changed, 1);
	ck_assert_str_eq(quarantine(),
	    "[a@x rules: set aside by the rule in line 7](b@y 6 0 "
	    "set aside by the rule in line 7)");
	new_agent(4);
	change(CHANGE_UNQUARANTINE);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].action, "other");
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { it_is_not_delivered,
		a_restart_leaves_it_there, only_its_own_changes_touch_it,
		released_for_good, removed, rejected_with_a_report,
		found_by_state_and_filter, listed_with_its_times,
		since_when_is_not_forgotten, its_time_ends,
		its_time_ends_beside_others, requeued_into_it };

	return HOUSE_RUN("quarantine", tests);
}
