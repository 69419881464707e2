/* Reports: when they are made, for whom, and that none is lost or doubled. */
#include "lib/mail/envelope.h"
#include "tests/unit/queue/house.h"

/* --- what the tests say often --- */

/* The n-th work that was given away is a report: from nobody to `to`. */
static const char *
report_to(int n, const char *to)
{
	const struct got *g = &t.got[n];

	ck_assert_uint_eq(g->head.from.len, 0);
	ck_assert_uint_eq(g->nrcpts, 1);
	ck_assert_str_eq(g->rcpts[0].to, to);
	ck_assert_str_eq(g->action, CONFIG_MX_ACTION);
	return g->content;
}

static unsigned int
count(const char *text, const char *what)
{
	unsigned int n = 0;

	while ((text = strstr(text, what)) != NULL) {
		text += strlen(what);
		n++;
	}
	return n;
}

static void
check_told(const char *report, unsigned int nrcpt, const char *action)
{
	char line[64];

	snprintf(line, sizeof(line), "\r\nAction: %s\r\n", action);
	ck_assert_uint_eq(count(report, line), nrcpt);
	ck_assert_uint_eq(count(report, "\r\nFinal-Recipient: "), nrcpt);
}

static void
end_work(int n, enum outcome outcome, const char *text)
{
	for (uint32_t i = 0; i < t.got[n].nrcpts; i++)
		tell_result(&t.got[n], i, outcome, text);
	tell_done(&t.got[n], false);
}

/* A mail to b@y that fails. */
static void
fail_one(const char *from)
{
	int n = nwhole;

	send_mail(from, MAIL("b@y", "inside"));
	wait_for(&nwhole, n + 1);
	end_work(n, OUTCOME_FAILED, "no such user");
}

/* Nothing was to be given away: the last mail handed in comes next. */
static void
probe(void)
{
	int n = nwhole;

	send_mail("probe@x", MAIL("probe@y", "other"));
	wait_for(&nwhole, n + 1);
	ck_assert_str_eq(t.got[n].rcpts[0].to, "probe@y");
	end_work(n, OUTCOME_DELIVERED, "ok");
	while (index_find_id(&t.q->index, str_of(last_id)) != NULL)
		show();
}

/* No report is under way, nor was one given away. */
static void
expect_no_more(void)
{
	int n = nwhole;

	while (t.q->reports.count > 0)
		show();
	probe();
	ck_assert_int_eq(nwhole, n + 1);
}

static void
restart(bool orderly)
{
	stop_queue(orderly);
	start_queue();
	new_agent(10);
}

/* Nothing reported: its states are on disk as they are now. */
static void
keep_states(void)
{
	pace_now(&t.q->pace);
}

static void
add_rule(enum verdict_kind verdict, const struct action *a)
{
	t.config->rules = xcalloc(1, sizeof(struct rule));
	t.config->nrules = 1;
	t.config->rules[0].verdict = verdict;
	t.config->rules[0].action = a;
	t.config->rules[0].text = xstrdup("match");
}

/* --- failures --- */

START_TEST(a_failure_is_reported)
{
	const char *text;

	new_agent(10);
	send_mail(
	    "a@x", MAIL("b@y", "inside", "c@y", "inside", "d@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_result(&t.got[0], 1, OUTCOME_FAILED, "no such user");
	tell_result(&t.got[0], 2, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_for(&nwhole, 2);
	text = report_to(1, "a@x");
	check_told(text, 1, "failed");
	ck_assert_ptr_nonnull(strstr(text, "; c@y\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "\r\nStatus: 5.1.1\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(text, "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "Remote-MTA: dns; [127.0.0.1]\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "\r\nLast-Attempt-Date: "));
	ck_assert_ptr_nonnull(strstr(text, "\r\nReceived: x\r\n"));
	ck_assert_uint_eq(t.got[1].head.header_size,
	    (size_t)(strstr(text, "\r\n\r\n") + 4 - text));
	ck_assert_str_eq(t.got[1].hops, "mx://x:25");
	end_work(1, OUTCOME_DELIVERED, "ok");
	expect_no_more();
	/* Nobody is told twice. */
	restart(true);
	expect_no_more();
}

END_TEST

START_TEST(what_fails_together_is_told_together)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "other"));
	wait_for(&nwhole, 2);
	end_work(0, OUTCOME_FAILED, "no such user");
	/* The other one is still with the agent. */
	wait_shown("[a@x 0](b@y 4 1 550 5.1.1 no such user)(c@y 0 0 )");
	probe();
	end_work(1, OUTCOME_FAILED, "no such user");
	wait_for(&nwhole, 4);
	check_told(report_to(3, "a@x"), 2, "failed");
}

END_TEST

START_TEST(more_than_one_report_can_say)
{
	enum { MANY = 90 };

	static char to[MANY][16], reply[480];
	const char *list[2 * MANY + 1] = { NULL };
	unsigned int first, second;

	memset(reply, 'w', sizeof(reply) - 1);
	for (int i = 0; i < MANY; i++) {
		snprintf(to[i], sizeof(to[i]), "r%d@y", i);
		list[2 * i] = to[i];
		list[2 * i + 1] = "inside";
	}
	new_agent(10);
	send_mail("a@x", list);
	wait_for(&nwhole, 1);
	ck_assert_uint_eq(t.got[0].nrcpts, MANY);
	end_work(0, OUTCOME_FAILED, reply);
	wait_for(&nwhole, 3);
	first = count(report_to(1, "a@x"), "\r\nAction: failed\r\n");
	second = count(report_to(2, "a@x"), "\r\nAction: failed\r\n");
	ck_assert_uint_gt(first, 1);
	ck_assert_uint_eq(first + second, MANY);
	ck_assert_ptr_nonnull(strstr(t.got[2].content, "; r89@y\r\n"));
	ck_assert_ptr_null(strstr(t.got[2].content, "; r0@y\r\n"));
	expect_no_more();
}

END_TEST

START_TEST(a_crash_loses_no_report)
{
	new_agent(10);
	/* Short of space: the failure is on disk, its report cannot be. */
	t.q->store->told_space = SPACE_SHORT;
	fail_one("a@x");
	wait_shown("[a@x 2](b@y 4 1 550 5.1.1 no such user)");
	keep_states();
	t.q->store->told_space = SPACE_SHORT;
	restart(false);
	wait_for(&nwhole, 1);
	check_told(report_to(0, "a@x"), 1, "failed");
	/* It was durable before it was given away. */
	restart(false);
	wait_for(&nwhole, 1);
	report_to(0, "a@x");
	end_work(0, OUTCOME_DELIVERED, "ok");
	expect_no_more();
	keep_states();
	restart(false);
	expect_no_more();
	wait_shown("[a@x 2](b@y 4 1 550 5.1.1 no such user)");
}

END_TEST

/* The commit itself fails: what was said with it does not hold. */
START_TEST(a_report_that_was_not_kept_is_made_again)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	t.q->store->no_room = true;
	end_work(0, OUTCOME_FAILED, "no such user");
	wait_shown("[a@x 2](b@y 4 1 550 5.1.1 no such user)");
	while (t.q->reports.count == 0 || t.q->reports.nrunning > 0)
		show();
	ck_assert_uint_eq(t.q->index.count, 1);
	ck_assert_uint_ne(t.q->index.nkept, 0);
	space_has_spare(t.q->store);
	restart(true);
	wait_for(&nwhole, 1);
	check_told(report_to(0, "a@x"), 1, "failed");
}

END_TEST

/* The write of the commit fails: the same. */
START_TEST(a_report_that_was_not_written_is_made_again)
{
	const struct journal *j = &t.q->store->journal;
	int broken = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct entry *e;

	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	e = index_find_id(&t.q->index, str_of(last_id));
	ck_assert_int_ne(dup2(broken, j->segments[j->active].fd), -1);
	end_work(0, OUTCOME_FAILED, "no such user");
	wait_shown("[a@x 2](b@y 4 1 550 5.1.1 no such user)");
	while (!TAILQ_EMPTY(&t.q->reports.ready) || t.q->reports.nrunning > 0)
		show();
	ck_assert_uint_eq(t.q->reports.count, 1);
	/* The time to undo has not begun. */
	keep_states();
	ck_assert_uint_eq(e->rcpts[0].place, PLACE_NONE);
	ck_assert_uint_le(e->rcpts[0].due_ms, queue_now_ms(t.q));
	restart(true);
	wait_for(&nwhole, 1);
	check_told(report_to(0, "a@x"), 1, "failed");
	close(broken);
}

END_TEST

START_TEST(what_was_told_is_forgotten)
{
	t.config->queue.undo = 0;
	new_agent(10);
	fail_one("a@x");
	wait_for(&nwhole, 2);
	report_to(1, "a@x");
	end_work(1, OUTCOME_DELIVERED, "ok");
	while (t.q->index.count > 0)
		show();
	ck_assert_uint_eq(t.q->reports.count, 0);
}

END_TEST

/* Nobody could undo anything, but its sender does not know yet. */
START_TEST(what_was_not_told_is_kept)
{
	t.config->queue.undo = 0;
	new_agent(10);
	t.q->store->told_space = SPACE_SHORT;
	fail_one("a@x");
	wait_shown("[a@x 2](b@y 4 1 550 5.1.1 no such user)");
	keep_states();
	ck_assert_uint_eq(t.q->index.count, 1);
	restart(false);
	wait_for(&nwhole, 1);
	check_told(report_to(0, "a@x"), 1, "failed");
}

END_TEST

START_TEST(a_removed_one_is_not_reported)
{
	new_agent(10);
	t.q->store->told_space = SPACE_SHORT;
	fail_one("a@x");
	wait_shown("[a@x 2](b@y 4 1 550 5.1.1 no such user)");
	change(CHANGE_REMOVE);
	ck_assert_uint_eq(t.done.changed, 1);
	restart(true);
	expect_no_more();
	ck_assert_uint_eq(t.q->reports.count, 0);
}

END_TEST

/* What was to be told is gone, and nobody else is late. */
START_TEST(a_removed_one_is_no_delay)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "other"));
	wait_for(&nwhole, 2);
	end_work(0, OUTCOME_FAILED, "no such user");
	wait_shown("[a@x 0](b@y 4 1 550 5.1.1 no such user)(c@y 0 0 )");
	term(TERM_TO, "b@y", 0);
	change(CHANGE_REMOVE);
	ck_assert_uint_eq(t.done.changed, 1);
	end_work(1, OUTCOME_DEFERRED, "later");
	expect_no_more();
}

END_TEST

START_TEST(who_ran_out_of_time)
{
	const char *text;

	t.config->queue.ttl = 1;
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	t.config->queue.ttl = t.config->queue.report_ttl = 3600000;
	t.config->actions[0].ttl_ms = 1;
	end_work(0, OUTCOME_DEFERRED, "later");
	wait_for(&nwhole, 2);
	text = report_to(1, "a@x");
	check_told(text, 1, "failed");
	ck_assert_ptr_nonnull(strstr(text, "\r\nStatus: 5.4.7\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(text, "Diagnostic-Code: smtp; 451 4.3.0 later\r\n"));
}

END_TEST

START_TEST(without_the_header)
{
	const char *text;
	struct entry *e;

	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	cache_clear(&t.q->cache);
	e = index_find_id(&t.q->index, str_of(last_id));
	e->header_size = 100000;
	end_work(0, OUTCOME_FAILED, "no such user");
	wait_for(&nwhole, 2);
	text = report_to(1, "a@x");
	check_told(text, 1, "failed");
	ck_assert_ptr_null(strstr(text, "text/rfc822-headers"));
	ck_assert_ptr_nonnull(strstr(text, "could not be read"));
}

END_TEST

/* --- nobody to tell --- */

START_TEST(no_report_about_a_report)
{
	new_agent(10);
	fail_one("a@x");
	wait_for(&nwhole, 2);
	report_to(1, "a@x");
	end_work(1, OUTCOME_FAILED, "no reports please");
	expect_no_more();
	restart(true);
	expect_no_more();
}

END_TEST

START_TEST(the_postmaster_hears_of_it_once)
{
	t.config->postmaster = xstrdup("Postmaster@z");
	new_agent(10);
	fail_one("");
	wait_for(&nwhole, 2);
	check_told(report_to(1, "Postmaster@z"), 1, "failed");
	ck_assert_ptr_nonnull(strstr(t.got[1].content, "sender: <>"));
	end_work(1, OUTCOME_FAILED, "nobody here");
	expect_no_more();
	ck_assert_uint_eq(t.q->reports.count, 0);
}

END_TEST

/* Two gateways, each of which has a postmaster who cannot be reached. */
START_TEST(no_postmaster_hears_of_another)
{
	t.config->postmaster = xstrdup("one@z");
	new_agent(10);
	fail_one("");
	wait_for(&nwhole, 2);
	report_to(1, "one@z");
	free(t.config->postmaster);
	t.config->postmaster = xstrdup("two@z");
	end_work(1, OUTCOME_FAILED, "nobody here");
	expect_no_more();
}

END_TEST

START_TEST(rules_decide_about_reports)
{
	t.config->postmaster = xstrdup("postmaster@z");
	add_rule(VERDICT_REJECT, NULL);
	new_agent(10);
	fail_one("a@x");
	expect_no_more();
	t.config->rules[0].verdict = VERDICT_ACTION;
	t.config->rules[0].action = &t.config->actions[2];
	fail_one("a@x");
	wait_for(&nwhole, 4);
	ck_assert_str_eq(t.got[3].action, "other");
	ck_assert_str_eq(t.got[3].rcpts[0].to, "a@x");
}

END_TEST

/* --- delays --- */

START_TEST(a_delay_is_told_once)
{
	const char *text;

	t.config->queue.warn = 1;
	queue_set_config(t.q, t.config);
	new_agent(10);
	send_mail(
	    "a@x", MAIL("b@y", "inside", "c@y", "inside", "d@y", "inside"));
	wait_for(&nwhole, 1);
	term(TERM_TO, "d@y", 0);
	change(CHANGE_HOLD);
	end_work(0, OUTCOME_DEFERRED, "later");
	wait_for(&nwhole, 2);
	text = report_to(1, "a@x");
	check_told(text, 2, "delayed");
	ck_assert_ptr_nonnull(strstr(text, "\r\nStatus: 4.3.0\r\n"));
	ck_assert_uint_eq(count(text, "\r\nWill-Retry-Until: "), 2);
	end_work(1, OUTCOME_DELIVERED, "ok");
	expect_no_more();
	keep_states();
	restart(false);
	expect_no_more();
	/* Another time: all are looked at again, and known to be told. */
	t.q->reports.warn_ms = 0;
	queue_set_config(t.q, t.config);
	expect_no_more();
}

END_TEST

START_TEST(delay_off)
{
	t.config->queue.warn = 0;
	queue_set_config(t.q, t.config);
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	end_work(0, OUTCOME_DEFERRED, "later");
	expect_no_more();
	/* From now on: it is old enough. */
	t.config->queue.warn = 1;
	queue_set_config(t.q, t.config);
	wait_for(&nwhole, 3);
	check_told(report_to(2, "a@x"), 1, "delayed");
	end_work(2, OUTCOME_DEFERRED, "later");
	/* Never about a report. */
	expect_no_more();
}

END_TEST

/* In the line of a destination that cannot be reached. */
START_TEST(delay_of_who_waits_in_line)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "refused");
	tell_done(&t.got[0], true);
	send_mail("c@x", MAIL("d@y", "inside"));
	wait_for(&t.naccepted, 2);
	t.config->queue.warn = 1;
	queue_set_config(t.q, t.config);
	wait_for(&nwhole, 3);
	check_told(report_to(1, "a@x"), 1, "delayed");
	check_told(report_to(2, "c@x"), 1, "delayed");
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { a_failure_is_reported,
		what_fails_together_is_told_together,
		more_than_one_report_can_say, a_crash_loses_no_report,
		a_report_that_was_not_kept_is_made_again,
		a_report_that_was_not_written_is_made_again,
		what_was_told_is_forgotten, what_was_not_told_is_kept,
		a_removed_one_is_not_reported, a_removed_one_is_no_delay,
		who_ran_out_of_time, without_the_header,
		no_report_about_a_report, the_postmaster_hears_of_it_once,
		no_postmaster_hears_of_another, rules_decide_about_reports,
		a_delay_is_told_once, delay_off, delay_of_who_waits_in_line };

	return HOUSE_RUN("report", tests);
}
