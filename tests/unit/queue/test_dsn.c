/* What senders wish to be told (RFC 3461), through the queue and back. */
#include "lib/mail/envelope.h"
#include "queue/store_impl.h"
#include "queue/wishes.h"
#include "tests/unit/queue/house.h"

static void
end_work(int n, enum outcome outcome, const char *text)
{
	for (uint32_t i = 0; i < t.got[n].nrcpts; i++)
		tell_result(&t.got[n], i, outcome, text);
	tell_done(&t.got[n], false);
}

/* A mail from a@x to b@y; returns the number of its work. */
static int
send_one(uint8_t notify)
{
	int n = nwhole;

	how.notify = notify;
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, n + 1);
	return n;
}

/* The report about it, when it has ended. */
static const char *
next_report(void)
{
	wait_for(&nwhole, 2);
	ck_assert_uint_eq(t.got[1].head.from.len, 0);
	ck_assert_str_eq(t.got[1].rcpts[0].to, "a@x");
	return t.got[1].content;
}

static void
expect_none(void)
{
	int n = nwhole;

	while (t.q->reports.count > 0)
		show();
	memset(&how, 0, sizeof(how));
	send_mail("probe@x", MAIL("probe@y", "other"));
	wait_for(&nwhole, n + 1);
	ck_assert_str_eq(t.got[n].rcpts[0].to, "probe@y");
}

static void
has(const char *text, const char *what)
{
	ck_assert_msg(
	    strstr(text, what) != NULL, "%s is not in\n%s", what, text);
}

static void
has_not(const char *text, const char *what)
{
	ck_assert_msg(strstr(text, what) == NULL, "%s is in\n%s", what, text);
}

static void
restart(bool orderly)
{
	stop_queue(orderly);
	start_queue();
	new_agent(10);
}

/* --- what the agent is told --- */

START_TEST(the_wishes_travel)
{
	new_agent(10);
	how.envid = "Q=1";
	how.orcpt = "rfc822;B@y";
	how.flags = ENVELOPE_RET_HDRS | ENVELOPE_REQUIRETLS;
	send_one(NOTIFY_SUCCESS | NOTIFY_DELAY);
	ck_assert_str_eq(t.got[0].envid, "Q=1");
	ck_assert_str_eq(t.got[0].rcpts[0].orcpt, "rfc822;B@y");
	ck_assert_uint_eq(
	    t.got[0].rcpts[0].notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	ck_assert_uint_eq(
	    t.got[0].head.flags, ENVELOPE_RET_HDRS | ENVELOPE_REQUIRETLS);
	/* The same from the record as from memory. */
	restart(false);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].envid, "Q=1");
	ck_assert_str_eq(t.got[0].rcpts[0].orcpt, "rfc822;B@y");
	ck_assert_uint_eq(
	    t.got[0].rcpts[0].notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	ck_assert_uint_eq(
	    t.got[0].head.flags, ENVELOPE_RET_HDRS | ENVELOPE_REQUIRETLS);
	end_work(0, OUTCOME_DELIVERED, "ok");
	has(next_report(), "\r\nOriginal-Envelope-Id: Q=1\r\n");
}

END_TEST

/* --- success --- */

static const struct {
	uint8_t notify;
	enum handover handover;
	const char *action; /* NULL: no report */
} successes[] = {
	{ NOTIFY_DEFAULT, HANDOVER_FINAL, NULL },
	{ NOTIFY_NEVER, HANDOVER_FINAL, NULL },
	{ NOTIFY_FAILURE | NOTIFY_DELAY, HANDOVER_FINAL, NULL },
	{ NOTIFY_SUCCESS, HANDOVER_FINAL, "delivered" },
	{ NOTIFY_SUCCESS, HANDOVER_RELAYED, "relayed" },
	{ NOTIFY_SUCCESS, HANDOVER_DSN, NULL },
	{ NOTIFY_SUCCESS | NOTIFY_FAILURE, HANDOVER_RELAYED, "relayed" },
};

START_TEST(delivered)
{
	char line[64];
	const char *text;

	new_agent(10);
	how.orcpt = "rfc822;B@y";
	how.handover = successes[_i].handover;
	send_one(successes[_i].notify);
	end_work(0, OUTCOME_DELIVERED, "fine");
	if (successes[_i].action == NULL) {
		expect_none();
		return;
	}
	text = next_report();
	snprintf(line, sizeof(line), "\r\nAction: %s\r\nStatus: 2.0.0\r\n",
	    successes[_i].action);
	has(text, line);
	has(text, "\r\nOriginal-Recipient: rfc822; B@y\r\n");
	has(text, "\r\nFinal-Recipient: rfc822; b@y\r\n");
	has_not(text, "Original-Envelope-Id");
	end_work(1, OUTCOME_DELIVERED, "ok");
	expect_none();
}

END_TEST

/* Nobody is there to be told. */
START_TEST(delivered_from_nobody)
{
	new_agent(10);
	how.notify = NOTIFY_SUCCESS;
	send_mail("", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	end_work(0, OUTCOME_DELIVERED, "fine");
	expect_none();
}

END_TEST

START_TEST(a_crash_loses_no_success)
{
	new_agent(10);
	how.handover = _i == 0 ? HANDOVER_FINAL : HANDOVER_RELAYED;
	how.orcpt = "rfc822;B@y";
	how.envid = "1";
	send_one(NOTIFY_SUCCESS);
	/* Short of space: that it was delivered is on disk, its report cannot
	 * be. */
	t.q->store->told_space = SPACE_SHORT;
	end_work(0, OUTCOME_DELIVERED, "fine");
	while (t.q->reports.count == 0 || t.q->reports.nrunning > 0)
		show();
	pace_now(&t.q->pace);
	t.q->store->told_space = SPACE_SHORT;
	restart(false);
	wait_for(&nwhole, 1);
	ck_assert_uint_eq(t.got[0].head.from.len, 0);
	has(t.got[0].content,
	    _i == 0 ? "\r\nAction: delivered\r\n" : "\r\nAction: relayed\r\n");
	has(t.got[0].content, "\r\nOriginal-Recipient: rfc822; B@y\r\n");
	has(t.got[0].content, "\r\nOriginal-Envelope-Id: 1\r\n");
	end_work(0, OUTCOME_DELIVERED, "ok");
	while (t.q->reports.count > 0 || t.q->nworks > 0)
		show();
	restart(true);
	expect_none();
}

END_TEST

/* --- failure --- */

static const struct {
	uint8_t notify;
	bool reported;
} failures[] = {
	{ NOTIFY_DEFAULT, true },
	{ NOTIFY_FAILURE, true },
	{ NOTIFY_FAILURE | NOTIFY_SUCCESS, true },
	{ NOTIFY_NEVER, false },
	{ NOTIFY_SUCCESS, false },
	{ NOTIFY_DELAY, false },
};

START_TEST(failed)
{
	new_agent(10);
	how.envid = "1";
	send_one(failures[_i].notify);
	end_work(0, OUTCOME_FAILED, "no");
	if (failures[_i].reported) {
		has(next_report(), "\r\nAction: failed\r\n");
		has(next_report(), "\r\nOriginal-Envelope-Id: 1\r\n");
	} else {
		expect_none();
		ck_assert_uint_eq(t.q->reports.unwanted, 1);
	}
}

END_TEST

/* From nobody, and the postmaster would be told. */
START_TEST(never_is_never)
{
	new_agent(10);
	t.config->postmaster = xstrdup("post@master");
	how.notify = NOTIFY_NEVER;
	send_mail("", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	end_work(0, OUTCOME_FAILED, "no");
	expect_none();
}

END_TEST

/* --- delay --- */

static const struct {
	uint8_t notify;
	bool reported;
} delays[] = {
	{ NOTIFY_DEFAULT, true },
	{ NOTIFY_DELAY, true },
	{ NOTIFY_NEVER, false },
	{ NOTIFY_FAILURE, false },
	{ NOTIFY_SUCCESS | NOTIFY_FAILURE, false },
};

START_TEST(late)
{
	new_agent(10);
	t.config->queue.warn = 1;
	report_set_config(t.q);
	send_one(delays[_i].notify);
	end_work(0, OUTCOME_DEFERRED, "later");
	if (!delays[_i].reported) {
		expect_none();
		return;
	}
	wait_for(&nwhole, 2);
	has(t.got[1].content, "\r\nAction: delayed\r\n");
}

END_TEST

/* --- what comes back --- */

static const struct {
	uint32_t flags;
	bool body;
} returned[] = {
	{ 0, false },
	{ ENVELOPE_RET_HDRS, false },
	{ ENVELOPE_RET_FULL, true },
	{ ENVELOPE_RET_FULL | ENVELOPE_REQUIRETLS, false },
};

START_TEST(comes_back)
{
	const char *text;

	new_agent(10);
	how.flags = returned[_i].flags;
	how.content = "Received: x\r\n\r\nthe body\r\n";
	send_one(NOTIFY_DEFAULT);
	end_work(0, OUTCOME_FAILED, "no");
	text = next_report();
	has(text, "\r\nReceived: x\r\n");
	if (returned[_i].body) {
		has(text, "\r\nContent-Type: message/rfc822\r\n");
		has(text, "\r\nReceived: x\r\n\r\nthe body\r\n");
	} else {
		has(text, "\r\nContent-Type: text/rfc822-headers\r\n");
		has_not(text, "the body");
	}
	/* RFC 8689 5 */
	ck_assert_uint_eq(t.got[1].head.flags & ENVELOPE_REQUIRETLS,
	    returned[_i].flags & ENVELOPE_REQUIRETLS);
}

END_TEST

/* Only of what failed (RFC 3461 4.3). */
START_TEST(success_has_no_body)
{
	new_agent(10);
	how.flags = ENVELOPE_RET_FULL;
	how.content = "Received: x\r\n\r\nthe body\r\n";
	send_one(NOTIFY_SUCCESS);
	end_work(0, OUTCOME_DELIVERED, "ok");
	has_not(next_report(), "the body");
}

END_TEST

/* --- too much of a user --- */

START_TEST(surplus_is_held)
{
	t.config->limits.rate_per_user = 3;
	t.config->limits.rate_per_user_period = 3600000;
	new_agent(10);
	how.user = "jane";
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	end_work(0, OUTCOME_DELIVERED, "ok");
	/* These two are too many, that one is not, nor is another's. */
	send_mail("b@x", MAIL("b@y", "inside", "c@y", "inside"));
	send_mail("c@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 2);
	end_work(1, OUTCOME_DELIVERED, "ok");
	how.user = "jack";
	send_mail("d@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 3);
	how.user = NULL;
	end_work(2, OUTCOME_DELIVERED, "ok");
	ck_assert_uint_eq(t.q->user_rates.held, 1);
	while (t.q->index.count > 1)
		show();
	has(show(), "4.7.0 held: jane sent more than 3/1h");
	/* Also behind a crash, and until it is released. */
	restart(false);
	has(show(), "4.7.0 held: jane sent more than 3/1h");
	ck_assert_int_eq(nwhole, 0);
	change(CHANGE_RELEASE);
	wait_for(&nwhole, 1);
	ck_assert_uint_eq(t.got[0].nrcpts, 2);
}

END_TEST

static bool
take(struct user_rates *all, const char *user, uint32_t n, uint64_t at_ms)
{
	const struct limits l = { .rate_per_user = 10,
		.rate_per_user_period = 1000 };

	return user_rate_take(all, &l, str_of(user), n, at_ms);
}

START_TEST(rates)
{
	const struct limits none = { .rate_per_user = 0 };
	struct user_rates all;
	char name[16];

	user_rates_init(&all);
	ck_assert(user_rate_take(&all, &none, STR("a"), 100000, 1));
	ck_assert(take(&all, "", 100, 1));
	ck_assert_uint_eq(all.count, 0);
	ck_assert(take(&all, "a", 10, 5000));
	ck_assert(!take(&all, "a", 1, 5000));
	ck_assert(take(&all, "b", 1, 5000));
	ck_assert(!take(&all, "a", 1, 5099));
	ck_assert(take(&all, "a", 1, 5100));
	ck_assert(!take(&all, "a", 1, 5100));
	/* A clock that stands still, or is somewhere else. */
	ck_assert(!take(&all, "a", 1, 10));
	ck_assert(take(&all, "a", 10, 1000000));
	ck_assert(!take(&all, "a", 11, 9000000));
	ck_assert(!take(&all, "a", UINT32_MAX, 9000000));
	ck_assert_uint_eq(all.held, 6);
	/* Who was seen last stays. */
	for (int i = 0; i < USER_RATES_MAX; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		ck_assert(take(&all, name, 10, 9000000));
		ck_assert(!take(&all, "b", 11, 9000000));
	}
	ck_assert_uint_eq(all.count, USER_RATES_MAX);
	ck_assert(take(&all, "u0", 10, 9000000));
	ck_assert(!take(&all, name, 1, 9000000));
	user_rates_clear(&all);
	ck_assert_uint_eq(all.count, 0);
}

END_TEST

/* What the former limit let through is not held against the user for longer
 * than the new one's time. */
START_TEST(another_rate)
{
	const struct limits day = { .rate_per_user = 1000,
		.rate_per_user_period = 86400000 };
	const struct limits minute = { .rate_per_user = 10,
		.rate_per_user_period = 60000 };
	struct user_rates all;

	user_rates_init(&all);
	ck_assert(user_rate_take(&all, &day, STR("a"), 1000, 1));
	ck_assert(!user_rate_take(&all, &minute, STR("a"), 10, 1));
	ck_assert(user_rate_take(&all, &minute, STR("a"), 10, 60001));
	user_rates_clear(&all);
}

END_TEST

static void
formatted(uint64_t ms, const char *want)
{
	const struct limits l = { .rate_per_user = 200,
		.rate_per_user_period = ms };
	struct buf b;

	buf_init(&b, 64);
	user_rate_format(&l, &b);
	ck_assert(str_eq(buf_str(&b), str_of(want)));
	buf_clear(&b);
}

START_TEST(rates_read)
{
	formatted(3600000, "200/1h");
	formatted(5400000, "200/90m");
	formatted(86400000, "200/1d");
	formatted(1000, "200/1s");
	formatted(1500, "200/1500ms");
}

END_TEST

/* --- the block --- */

START_TEST(a_block_of_wishes)
{
	struct mail_rcpt r[] = {
		{ .to = STR("a@y") },
		{ .to = STR("b@y"), .orcpt = STR("rfc822;b") },
		{ .to = STR("c@y") },
		{ .to = STR("d@y"), .orcpt = STR("rfc822;dd") },
	};
	struct mail_record m = { .rcpts = r, .nrcpt = 4 };
	static const char *const want[] = { "", "rfc822;b", "", "rfc822;dd",
		"" };
	struct wishes w;
	struct buf b;

	buf_init(&b, WISHES_MAX);
	for (int with = 0; with < 2; with++) {
		m.envid = with ? STR("id") : STR("");
		wishes_make(&m, &b);
		wishes_init(&w, buf_str(&b));
		ck_assert(str_eq(wishes_envid(&w), m.envid));
		/* in every order */
		for (uint32_t i = 0; i < 25; i++) {
			ck_assert(str_eq(
			    wishes_orcpt(&w, i / 5), str_of(want[i / 5])));
			ck_assert(str_eq(
			    wishes_orcpt(&w, i % 5), str_of(want[i % 5])));
		}
	}
	m.nrcpt = 1;
	m.envid = STR("");
	wishes_make(&m, &b);
	ck_assert_uint_eq(b.len, 0);
	wishes_init(&w, buf_str(&b));
	ck_assert_uint_eq(wishes_envid(&w).len, 0);
	ck_assert_uint_eq(wishes_orcpt(&w, 0).len, 0);
	buf_clear(&b);
}

END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

int
main(void)
{
	TCase *c = tests_new("dsn", NULL, 0, setup, teardown, 60);

	tcase_add_test(c, the_wishes_travel);
	tcase_add_loop_test(c, delivered, 0, COUNT(successes));
	tcase_add_test(c, delivered_from_nobody);
	tcase_add_loop_test(c, a_crash_loses_no_success, 0, 2);
	tcase_add_loop_test(c, failed, 0, COUNT(failures));
	tcase_add_test(c, never_is_never);
	tcase_add_loop_test(c, late, 0, COUNT(delays));
	tcase_add_loop_test(c, comes_back, 0, COUNT(returned));
	tcase_add_test(c, success_has_no_body);
	tcase_add_test(c, surplus_is_held);
	tcase_add_test(c, rates);
	tcase_add_test(c, another_rate);
	tcase_add_test(c, rates_read);
	tcase_add_test(c, a_block_of_wishes);
	return tests_run_case("dsn", c);
}
