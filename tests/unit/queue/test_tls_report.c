/* Daily reports about TLS: what agents tell, the file, and the mail. */
#include "queue/tls_report_text.h"
#include "tests/unit/queue/house.h"

enum { DAY_MS = 86400000 };

/* A day that is over for everybody, and still taken. */
static uint32_t
past_day(void)
{
	return (uint32_t)(clock_wall_ms() / DAY_MS) - 2;
}

static void
with_reports(void)
{
	t.config->tls_reports = xcalloc(1, sizeof(struct tls_reports));
	t.config->tls_reports->organization = xstrdup("Us");
	t.config->tls_reports->contact = xstrdup("postmaster@us.example");
	t.config->tls_reports->from = xstrdup("noreply@us.example");
	/* The first look for days that are over is behind us. */
	for (int i = 0; i < 3; i++)
		ask(TYPE_ask_stats, &(struct ask_stats){ 0 });
}

static struct tell_tls_tally
tally_of(const char *domain, const char *rua)
{
	return (struct tell_tls_tally){ .day = past_day(),
		.domain = str_of(domain),
		.rua = str_of(rua),
		.policy = TLS_POLICY_TLSA,
		.policy_text = STR("3 1 1 abcd"),
		.result = TLS_RESULT_SUCCESS,
		.mx = STR("mx.example"),
		.mx_address = STR("192.0.2.1"),
		.our_address = STR("192.0.2.9"),
		.count = 2 };
}

static struct tally *
find(const char *domain)
{
	return tallies_find(
	    &t.q->tls_reporting.tallies, past_day(), str_of(domain));
}

/* What the agent said before has come when this question is answered. */
static void
tell(const struct tell_tls_tally *m)
{
	static uint32_t mails = 10;
	struct tell_capacity c = { .mails = ++mails };
	struct agent_peer *a = LIST_FIRST(&t.q->agents);

	channel_tell(t.agent, TYPE_tell_tls_tally, m, 0);
	channel_tell(t.agent, TYPE_tell_capacity, &c, 0);
	while (a->agent.capacity != mails)
		ask(TYPE_ask_stats, &(struct ask_stats){ 0 });
}

static void
restart(bool orderly)
{
	stop_queue(orderly);
	start_queue();
	new_agent(10);
}

static void
await_saved(void)
{
	while (t.q->tls_reporting.changed || t.q->tls_reporting.saving)
		ask(TYPE_ask_stats, &(struct ask_stats){ 0 });
}

#define RUA(to) "v=TLSRPTv1;rua=mailto:" to

START_TEST(counts)
{
	struct tell_tls_tally m = tally_of("A.example", RUA("r@a.example"));
	const struct tally_policy *p;

	with_reports();
	new_agent(10);
	tell(&m);
	tell(&m);
	m.result = TLS_RESULT_EXPIRED;
	tell(&m);
	tell(&m);
	m.reason = STR("why");
	tell(&m);
	m.policy = TLS_POLICY_NONE;
	m.policy_text = STR("");
	tell(&m);
	ck_assert_uint_eq(find("a.example")->npolicies, 2);
	p = STAILQ_FIRST(&find("a.example")->policies);
	ck_assert_uint_eq(p->successes, 4);
	ck_assert_uint_eq(p->failures, 6);
	ck_assert_uint_eq(p->nkinds, 2);
	ck_assert_uint_eq(STAILQ_FIRST(&p->kinds)->count, 4);
	/* The last record said is the one that counts. */
	m.rua = STR(RUA("other@a.example"));
	tell(&m);
	ck_assert_str_eq(find("a.example")->rua, RUA("other@a.example"));
}

END_TEST

START_TEST(nothing_without_a_sender)
{
	struct tell_tls_tally m = tally_of("a.example", RUA("r@a.example"));

	new_agent(10);
	tell(&m);
	ck_assert_ptr_null(find("a.example"));
}

END_TEST

START_TEST(nothing_of_another_time)
{
	struct tell_tls_tally m = tally_of("a.example", RUA("r@a.example"));

	with_reports();
	new_agent(10);
	m.day = past_day() - 1;
	tell(&m);
	m.day = past_day() + 4;
	tell(&m);
	ck_assert_ptr_null(tallies_next(&t.q->tls_reporting.tallies, NULL));
}

END_TEST

START_TEST(survives_a_crash)
{
	struct tell_tls_tally m = tally_of("a.example", RUA("r@a.example"));

	with_reports();
	new_agent(10);
	m.day = past_day() + 2;
	tell(&m);
	await_saved();
	restart(false);
	ck_assert_ptr_nonnull(tallies_find(
	    &t.q->tls_reporting.tallies, past_day() + 2, STR("a.example")));
	ck_assert_ptr_null(find("a.example"));
}

END_TEST

/* The n-th work is a report to this address. */
static void
expect_report(int n, const char *to, const char *domain)
{
	const struct got *g = &t.got[n];
	char line[300];

	ck_assert_uint_eq(g->head.from.len, 0);
	ck_assert_uint_eq(g->nrcpts, 1);
	ck_assert_str_eq(g->rcpts[0].to, to);
	ck_assert_uint_eq(g->rcpts[0].notify, NOTIFY_NEVER);
	ck_assert_uint_eq(g->head.flags, ENVELOPE_TLS_OPTIONAL);
	ck_assert_str_eq(g->action, CONFIG_MX_ACTION);
	snprintf(line, sizeof(line), "\r\nTLS-Report-Domain: %s\r\n", domain);
	ck_assert_ptr_nonnull(strstr(g->content, line));
}

START_TEST(a_day_that_is_over)
{
	struct tell_tls_tally m = tally_of("a.example",
	    RUA("one@a.example,https://a.example/,mailto:two@a.example"));

	with_reports();
	new_agent(10);
	tell(&m);
	restart(true);
	wait_for(&nwhole, 2);
	expect_report(0, "one@a.example", "a.example");
	expect_report(1, "two@a.example", "a.example");
	ck_assert_uint_eq(t.q->tls_reporting.made, 2);
	ck_assert_uint_eq(find("a.example")->told, 3);
	/* What comes late is not another report. */
	tell(&m);
	ck_assert_uint_eq(
	    STAILQ_FIRST(&find("a.example")->policies)->successes, 2);
	tell_result(&t.got[0], 0, OUTCOME_FAILED, "no such user");
	tell_done(&t.got[0], false);
	tell_result(&t.got[1], 0, OUTCOME_DELIVERED, "ok");
	tell_done(&t.got[1], false);
	/* Nor does anybody hear that it failed. */
	while (t.q->index.count > 1)
		ask(TYPE_ask_stats, &(struct ask_stats){ 0 });
	ck_assert_uint_eq(t.q->reports.count, 0);
	ck_assert_uint_eq(t.q->reports.unwanted, 1);
	/* And it is told once. */
	restart(true);
	while (!find("a.example")->over)
		ask(TYPE_ask_stats, &(struct ask_stats){ 0 });
	ck_assert_uint_eq(t.q->tls_reporting.made, 0);
	ck_assert_int_eq(t.ngot, 0);
}

END_TEST

/* However much there is to write: what is not on disk would be sent again. */
START_TEST(soon_on_disk)
{
	struct tell_tls_tally m = tally_of("a.example", RUA("r@a.example"));
	struct tls_reporting *all = &t.q->tls_reporting;
	char domain[32];

	with_reports();
	ck_assert_int_eq(tallies_add(&all->tallies, &m), 0);
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(domain, sizeof(domain), "d%d.example", i);
		m.domain = str_of(domain);
		m.day = past_day() + 2;
		ck_assert_int_eq(tallies_add(&all->tallies, &m), 0);
	}
	all->changed = true;
	restart(true);
	wait_for(&nwhole, 1);
	all = &t.q->tls_reporting;
	ck_assert_uint_eq(find("a.example")->told, 1);
	ck_assert(all->changed);
	ck_assert_uint_le(all->due_ms, loop_now_ms(t.loop) + 1000);
}

END_TEST

START_TEST(nowhere_to_send_it)
{
	struct tell_tls_tally m =
	    tally_of("a.example", "v=TLSRPTv1;rua=https://a.example/");

	with_reports();
	new_agent(10);
	tell(&m);
	restart(true);
	while (!find("a.example")->over)
		ask(TYPE_ask_stats, &(struct ask_stats){ 0 });
	ck_assert_uint_eq(t.q->tls_reporting.made, 0);
}

END_TEST

/* Filters sign it. */
START_TEST(filters_see_it)
{
	static const struct milter_set set = { 0 };
	struct tell_tls_tally m = tally_of("a.example", RUA("r@a.example"));

	with_reports();
	t.config->report_milters = &set;
	new_agent(10);
	tell(&m);
	restart(true);
	wait_for(&t.nasked, 1);
	ck_assert_ptr_nonnull(strstr(t.asked_rcpts, "(r@a.example "));
	t.config->report_milters = NULL;
}

END_TEST

START_TEST(a_damaged_file)
{
	struct tell_tls_tally m = tally_of("a.example", RUA("r@a.example"));
	char path[200];
	FILE *f;

	with_reports();
	new_agent(10);
	m.day += 2;
	tell(&m);
	stop_queue(true);
	snprintf(path, sizeof(path), "%s/tls-reports", t.dir);
	f = fopen(path, "r+");
	ck_assert_ptr_nonnull(f);
	fseek(f, -3, SEEK_END);
	fputc('!', f);
	fclose(f);
	start_queue();
	ck_assert_ptr_null(tallies_next(&t.q->tls_reporting.tallies, NULL));
	ck_assert_int_eq(access(path, F_OK), -1);
}

END_TEST

START_TEST(no_line_is_believed)
{
	static const char *const lines[] = {
		"D 1 0 0 a.example",
		"D 1 0 2 a.example x",
		"D x 0 0 a.example x",
		"D 4294967296 0 0 a x",
		"P 0 1 1 - -",
		"F 1 1 - - - -",
		"D 1 0 0 a x\nD 1 0 0 a x",
		"D 1 0 0 a x\nP 3 1 1 - -",
		"D 1 0 0 a x\nP 2 1 1 - -\nF 0 1 - - - -",
		"D 1 0 0 a x\nP 2 1 1 - -\nF 12 1 - - - -",
		"D 1 0 0 a %00",
		"D 1 0 0 a %4",
		"D 1 0 0 a %4g",
		"D 1 0 0 - x",
		"D 1 0 0 a x y",
		"X 1",
		"",
		"D 1 0 0  x",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct tallies all;

		tallies_init(&all);
		ck_assert_msg(tallies_parse(&all, str_of(lines[i])) ==
				  (lines[i][0] == '\0' ? 0 : -1),
		    "%s", lines[i]);
		tallies_clear(&all);
		ck_assert_uint_eq(all.nentries + all.bytes, 0);
	}
}

END_TEST

START_TEST(bounded)
{
	struct tallies all;
	char domain[32], name[256];
	struct tell_tls_tally m = tally_of("", RUA("r@a.example"));

	tallies_init(&all);
	for (int i = 0; i < TALLY_FAILURES_MAX + 10; i++) {
		snprintf(name, sizeof(name), "%d", i);
		m.domain = STR("a.example");
		m.result = TLS_RESULT_EXPIRED;
		m.mx = str_of(name);
		ck_assert_int_eq(tallies_add(&all, &m), 0);
	}
	const struct tally_policy *p =
	    STAILQ_FIRST(&tallies_next(&all, NULL)->policies);
	ck_assert_uint_eq(p->nkinds, TALLY_FAILURES_MAX);
	ck_assert_uint_eq(p->failures, 2 * (TALLY_FAILURES_MAX + 10));
	for (int i = 0; i < 2 * TALLY_POLICIES_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		m.policy_text = str_of(name);
		ck_assert_int_eq(
		    tallies_add(&all, &m), i < TALLY_POLICIES_MAX - 1 ? 0 : -1);
	}
	for (int i = 0; i < TALLY_ENTRIES_MAX; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		m.domain = str_of(domain);
		tallies_add(&all, &m);
	}
	ck_assert_uint_le(all.nentries, TALLY_ENTRIES_MAX);
	ck_assert_uint_le(all.bytes, TALLY_BYTES_MAX);
	ck_assert_int_eq(tallies_add(&all, &m), -1);
	/* And it can be written and read again. */
	struct buf text, again;
	struct tallies copy;
	buf_init(&text, TALLY_TEXT_MAX);
	buf_init(&again, TALLY_TEXT_MAX);
	tallies_format(&all, &text);
	ck_assert(!text.failed);
	tallies_init(&copy);
	ck_assert_int_eq(tallies_parse(&copy, buf_str(&text)), 0);
	tallies_format(&copy, &again);
	ck_assert(str_eq(buf_str(&text), buf_str(&again)));
	ck_assert_uint_eq(copy.nentries, all.nentries);
	tallies_clear(&copy);
	tallies_clear(&all);
	buf_clear(&text);
	buf_clear(&again);
}

END_TEST

/* One domain has its share of the room, and what is beyond is counted. */
START_TEST(one_domain)
{
	struct tallies all;
	char name[256];
	struct tell_tls_tally m = tally_of("a.example", RUA("r@a.example"));
	int n = TALLY_POLICIES_MAX * TALLY_FAILURES_MAX;
	const struct tally_policy *p;
	uint64_t sum = 0;

	tallies_init(&all);
	memset(name, 'x', sizeof(name));
	m.result = TLS_RESULT_EXPIRED;
	m.mx = (struct str){ name, 255 };
	for (int i = 0; i < n; i++) {
		name[i % 255] ^= (char)(1 + i / 255);
		m.policy_text = STR("");
		m.policy = (uint8_t)(i % 3);
		ck_assert_int_eq(tallies_add(&all, &m), 0);
	}
	ck_assert_uint_le(all.bytes, TALLY_DETAILS_MAX + 1000);
	ck_assert_uint_gt(all.bytes, TALLY_DETAILS_MAX - 1000);
	STAILQ_FOREACH(p, &tallies_next(&all, NULL)->policies, next)
		sum += p->failures;
	ck_assert_uint_eq(sum, 2 * (uint64_t)n);
	tallies_clear(&all);
	ck_assert_uint_eq(all.nentries + all.bytes, 0);
}

END_TEST

/* What was counted while the clock was wrong does not stay for ever. */
START_TEST(a_day_to_come)
{
	struct tell_tls_tally m = tally_of("a.example", RUA("r@a.example"));
	struct tallies *all = &t.q->tls_reporting.tallies;

	with_reports();
	m.day += 5;
	ck_assert_int_eq(tallies_add(all, &m), 0);
	m.day -= 3;
	ck_assert_int_eq(tallies_add(all, &m), 0);
	t.q->tls_reporting.changed = true;
	restart(true);
	for (int i = 0; i < 3; i++)
		ask(TYPE_ask_stats, &(struct ask_stats){ 0 });
	all = &t.q->tls_reporting.tallies;
	ck_assert_ptr_nonnull(tallies_find(all, m.day, m.domain));
	ck_assert_ptr_null(tallies_find(all, m.day + 3, m.domain));
}

END_TEST

/* Writing does not wait until nobody tells anything any more. */
START_TEST(saved_under_load)
{
	struct tell_tls_tally m = tally_of("a.example", RUA("r@a.example"));
	char path[200];

	with_reports();
	new_agent(10);
	m.day = past_day() + 2;
	snprintf(path, sizeof(path), "%s/tls-reports", t.dir);
	while (access(path, F_OK) == -1)
		tell(&m);
}

END_TEST

/* Behind midnight, not all at the same time, and always at the same. */
START_TEST(when)
{
	uint64_t first = tls_report_due_ms(20000, "a.example", "gw.example"),
		 midnight = (uint64_t)20001 * DAY_MS, other = 0;
	char domain[32];

	ck_assert_uint_eq(
	    tls_report_due_ms(20000, "a.example", "gw.example"), first);
	for (int i = 0; i < 100; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		uint64_t at = tls_report_due_ms(20000, domain, "gw.example");

		ck_assert_uint_ge(at, midnight + 15ULL * 60 * 1000);
		ck_assert_uint_lt(at, midnight + 5ULL * 3600 * 1000);
		other += at != first;
	}
	ck_assert_uint_gt(other, 90);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { counts, nothing_without_a_sender,
		nothing_of_another_time, survives_a_crash, a_day_that_is_over,
		soon_on_disk, nowhere_to_send_it, filters_see_it,
		a_damaged_file, no_line_is_believed, bounded, one_domain,
		a_day_to_come, saved_under_load, when };

	return HOUSE_RUN("tls_report", tests);
}
