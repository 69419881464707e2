/* requeue: where mail goes by the rules of today, now and after a restart. */
#include "lib/rules/table.h"
#include "tests/unit/queue/house.h"

enum { INSIDE, DROP, OTHER };

static struct rule rules[2];
static struct table *users;

/* The first rule that matches decides. */
static void
set_rules(size_t n)
{
	free(t.config->rules);
	t.config->rules = xcalloc(n, sizeof(*rules));
	memcpy(t.config->rules, rules, n * sizeof(*rules));
	t.config->nrules = n;
}

static struct rule
to_action(int action)
{
	return (struct rule){ .verdict = VERDICT_ACTION,
		.action = &t.config->actions[action] };
}

static void
all_to_other(void)
{
	rules[0] = to_action(OTHER);
	set_rules(1);
}

/* Work n went by action `other`. */
static void
is_other(int n, uint32_t attempts)
{
	wait_for(&nwhole, n + 1);
	ck_assert_str_eq(t.got[n].action, "other");
	ck_assert_str_eq(t.got[n].hops, "smtp://127.0.0.1:3");
	ck_assert_uint_eq(t.got[n].rcpts[0].attempts, attempts);
}

START_TEST(what_waits_goes_elsewhere)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	all_to_other();
	change(CHANGE_REQUEUE);
	ck_assert_uint_eq(t.done.matched, 1);
	ck_assert_uint_eq(t.done.changed, 1);
	ck_assert_uint_ne(t.done.operation, 0);
	new_agent(4);
	is_other(0, 0);
}

END_TEST

START_TEST(what_is_deferred_is_tried_at_once)
{
	new_agent(4);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_result(&t.got[0], 1, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], true);
	wait_shown("[a@x 1](b@y 1 1 451 4.3.0 later)(c@y 1 1 451 4.3.0 later)");
	all_to_other();
	term(TERM_TO, "c@y", 0);
	change(CHANGE_REQUEUE);
	is_other(1, 1);
	ck_assert_uint_eq(t.got[1].nrcpts, 1);
	ck_assert_str_eq(t.got[1].rcpts[0].to, "c@y");
}

END_TEST

START_TEST(what_is_held_is_sent)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	change(CHANGE_HOLD);
	all_to_other();
	change(CHANGE_REQUEUE);
	new_agent(4);
	is_other(0, 0);
}

END_TEST

START_TEST(a_dry_run_does_nothing)
{
	struct ask_change m = { .change = CHANGE_REQUEUE, .dry_run = 1 };

	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	all_to_other();
	ask(TYPE_ask_change, &m);
	ck_assert_uint_eq(t.done.changed, 1);
	ck_assert_uint_eq(t.done.operation, 0);
	new_agent(4);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].action, "inside");
}

END_TEST

START_TEST(what_the_rules_refuse_is_held)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	rules[0] = (struct rule){ .verdict = VERDICT_REJECT };
	set_rules(1);
	change(CHANGE_REQUEUE);
	ck_assert_str_eq(
	    show(), "[a@x 2](b@y 2 0 5.7.1 requeue: the rules refuse it now)");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(
	    show(), "[a@x 2](b@y 2 0 5.7.1 requeue: the rules refuse it now)");
}

END_TEST

START_TEST(a_restart_does_not_lead_back)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	all_to_other();
	change(CHANGE_REQUEUE);
	for (int i = 0; i < 2; i++) {
		/* A second time: its state was said again by then. */
		stop_queue(true);
		start_queue();
		fate_restate(t.q, index_from_seq(&t.q->index, 0));
	}
	new_agent(4);
	is_other(0, 0);
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 1](b@y 1 1 451 4.3.0 later)");
	stop_queue(true);
	start_queue();
	change(CHANGE_FLUSH);
	new_agent(4);
	is_other(0, 1);
}

END_TEST

START_TEST(with_an_agent_it_is_done_afterwards)
{
	new_agent(4);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	all_to_other();
	change(CHANGE_REQUEUE);
	ck_assert_int_eq(nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_result(&t.got[0], 1, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	is_other(1, 1);
	ck_assert_uint_eq(t.got[1].nrcpts, 1);
	ck_assert_str_eq(t.got[1].rcpts[0].to, "c@y");
}

END_TEST

START_TEST(the_wish_outlives_agent_and_queue)
{
	new_agent(4);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	all_to_other();
	change(CHANGE_REQUEUE);
	stop_queue(true);
	start_queue();
	new_agent(4);
	is_other(0, 0);
	/* Once more, and only the agent goes. */
	rules[0] = to_action(INSIDE);
	set_rules(1);
	change(CHANGE_REQUEUE);
	channel_free(&t.agent);
	t.ngot = 0;
	new_agent(4);
	wait_for(&nwhole, 2);
	ck_assert_str_eq(t.got[0].action, "inside");
}

END_TEST

/* As of one that is with no agent, where the rules were asked before the other
 * wish came; in memory or on disk. */
START_TEST(held_behind_the_wish)
{
	new_agent(4);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "drop"));
	wait_for(&nwhole, 1);
	all_to_other();
	term(TERM_TO, "b@y", 0);
	change(CHANGE_REQUEUE);
	term(TERM_TO, "b@y", 0);
	change(CHANGE_HOLD);
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(
	    show(), "[a@x 2](b@y 2 0 )(c@y 3 1 250 2.0.0 discarded)");
	change(CHANGE_RELEASE);
	new_agent(4);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].action, "other");
	/* This time its end is seen. */
	rules[0] = to_action(INSIDE);
	set_rules(1);
	change(CHANGE_REQUEUE);
	change(CHANGE_HOLD);
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 2](b@y 2 1 451 4.3.0 later)"
		   "(c@y 3 1 250 2.0.0 discarded)");
	change(CHANGE_RELEASE);
	wait_for(&nwhole, 2);
	ck_assert_str_eq(t.got[1].action, "inside");
}

END_TEST

/* Nor does what discards it come before that. */
START_TEST(held_rather_than_discarded)
{
	new_agent(4);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	rules[0] = to_action(DROP);
	set_rules(1);
	change(CHANGE_REQUEUE);
	change(CHANGE_HOLD);
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 2](b@y 2 1 451 4.3.0 later)");
	change(CHANGE_RELEASE);
	wait_shown("");
}

END_TEST

/* What is set aside, or refused, is that. */
START_TEST(set_aside_before_it_is_held)
{
	new_agent(4);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	rules[0] = to_action(OTHER);
	rules[0].verdict = VERDICT_QUARANTINE;
	set_rules(1);
	change(CHANGE_REQUEUE);
	change(CHANGE_HOLD);
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	wait_shown(
	    "[a@x 0](b@y 6 1 set aside by the rule in line 0)(c@y 0 0 )");
	stop_queue(false);
	start_queue();
	wait_shown("[a@x 3](b@y 6 0 set aside by a rule)"
		   "(c@y 6 0 set aside by a rule)");
}

END_TEST

/* Held if the attempt had not been the end. */
START_TEST(what_is_over_is_not_released)
{
	new_agent(4);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	change(CHANGE_HOLD);
	tell_result(&t.got[0], 0, OUTCOME_FAILED, "no");
	tell_result(&t.got[0], 1, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_for(&nwhole, 2); /* the report */
	term(TERM_TO, "b@y", 0);
	change(CHANGE_RELEASE);
	ck_assert_uint_eq(t.done.matched, 1);
	ck_assert_uint_eq(t.done.changed, 0);
}

END_TEST

START_TEST(discarded_by_the_rules_of_today)
{
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "other"));
	wait_for(&t.naccepted, 1);
	rules[0] = to_action(DROP);
	set_rules(1);
	term(TERM_TO, "b@y", 0);
	change(CHANGE_REQUEUE);
	wait_shown("[a@x 0](b@y 3 1 250 2.0.0 discarded)(c@y 0 0 )");
}

END_TEST

/* The mail came from 192.0.2.1, by a listener that has a tag. */
START_TEST(the_rules_see_the_client)
{
	static struct cond local = { .kind = COND_FROM_LOCAL };
	static char word[] = "front";
	static struct cond tag = { .kind = COND_TAG, .text = word };
	static struct listener front = { .tag = word, .port = 25 };

	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	rules[0] = to_action(DROP);
	rules[0].conds = &local;
	rules[0].nconds = 1;
	rules[1] = to_action(OTHER);
	rules[1].conds = &tag;
	rules[1].nconds = 1;
	set_rules(2);
	ck_assert_int_eq(addr_parse(STR("127.0.0.1"), &front.addr), 0);
	t.config->listeners = &front;
	t.config->nlisteners = 1;
	change(CHANGE_REQUEUE);
	new_agent(4);
	is_other(0, 0);
}

END_TEST

/* Everybody else is refused, as those without TLS are. */
static void
only_for_jane(void)
{
	static struct cond clear = { .kind = COND_TLS, .negate = true };
	static struct cond user[] = { { .kind = COND_FROM_AUTH },
		{ .kind = COND_AUTH } };
	struct table_builder *b = table_builder_new("users");
	int fd;

	ck_assert_int_eq(table_builder_add(b, STR("jane"), NULL, NULL), 0);
	fd = table_builder_seal(&b, NULL);
	user[1].table = users = table_open(fd, "users", NULL);
	ck_assert_ptr_nonnull(users);
	rules[0] = (struct rule){
		.verdict = VERDICT_REJECT, .conds = &clear, .nconds = 1
	};
	rules[1] = to_action(OTHER);
	rules[1].conds = user;
	rules[1].nconds = 2;
	set_rules(2);
}

START_TEST(the_rules_see_who_sent_it)
{
	how.user = "jane";
	how.flags = ENVELOPE_TLS;
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	only_for_jane();
	change(CHANGE_REQUEUE);
	new_agent(4);
	is_other(0, 0);
	table_free(&users);
}

END_TEST

START_TEST(and_after_a_restart)
{
	how.user = "jane";
	how.flags = ENVELOPE_TLS;
	send_mail("a@x", MAIL("b@y", "inside"));
	how.flags = 0;
	send_mail("clear@x", MAIL("b@y", "inside"));
	how.user = "jack";
	how.flags = ENVELOPE_TLS;
	send_mail("jack@x", MAIL("b@y", "inside"));
	how.user = NULL;
	send_mail("nobody@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 4);
	stop_queue(true);
	start_queue();
	only_for_jane();
	change(CHANGE_REQUEUE);
	ck_assert_str_eq(show(),
	    "[a@x 0](b@y 0 0 )"
	    "[clear@x 2](b@y 2 0 5.7.1 requeue: the rules refuse it now)"
	    "[jack@x 2](b@y 2 0 5.7.1 requeue: the rules refuse it now)"
	    "[nobody@x 2](b@y 2 0 5.7.1 requeue: the rules refuse it now)");
	new_agent(4);
	is_other(0, 0);
	table_free(&users);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { what_waits_goes_elsewhere,
		what_is_deferred_is_tried_at_once, what_is_held_is_sent,
		a_dry_run_does_nothing, what_the_rules_refuse_is_held,
		a_restart_does_not_lead_back,
		with_an_agent_it_is_done_afterwards,
		the_wish_outlives_agent_and_queue, held_behind_the_wish,
		held_rather_than_discarded, set_aside_before_it_is_held,
		what_is_over_is_not_released, discarded_by_the_rules_of_today,
		the_rules_see_the_client, the_rules_see_who_sent_it,
		and_after_a_restart };

	return HOUSE_RUN("change", tests);
}
