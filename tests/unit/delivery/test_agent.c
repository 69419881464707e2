/* Next hops, connections kept, and the house around the agent. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/world.c"

/* --- fail-over --- */

START_TEST(test_next_hop_after_refused_connection)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA,
		DOT_LOOP };

	server_start(&servers[0], script);
	server_start(&servers[1], script);
	server_refuse(&servers[0]);
	deliver_one(2);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(nunreachable, 0);
	ck_assert_uint_eq(race_total() % 2, 0);
	uint64_t tries = race_total();
	/* remembered: the second mail does not try the dead one */
	deliver_one(2);
	ck_assert_uint_eq(race_total(), tries);
}

END_TEST

START_TEST(test_next_hop_after_bad_greetings)
{
	static const struct step busy[] = { { "", "421 4.3.2 busy\r\n", 0 },
		NOTHING };
	static const struct step never[] = { { "", "554 5.7.1 never\r\n", 0 },
		NOTHING };
	static const struct step good[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };

	server_start(&servers[0], busy);
	server_start(&servers[1], never);
	server_start(&servers[2], good);
	deliver_one(3);
	ck_assert_uint_eq(ntold, 1);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

START_TEST(test_all_greetings_never)
{
	static const struct step never[] = { { "", "554 5.7.1 never\r\n", 0 },
		NOTHING };

	server_start(&servers[0], never);
	server_start(&servers[1], never);
	deliver_one(2);
	expect(0, OUTCOME_FAILED, 554, "5.7.1");
	ck_assert_uint_eq(nunreachable, 1);
}

END_TEST

START_TEST(test_nobody_reachable)
{
	static const struct step never[] = { { "", "554 5.7.1 never\r\n", 0 },
		NOTHING };

	server_start(&servers[0], never);
	server_start(&servers[1], never);
	server_refuse(&servers[1]);
	deliver_one(2);
	expect(0, OUTCOME_DEFERRED, 0, "4.4.1");
	ck_assert_uint_eq(nunreachable, 1);
}

END_TEST

/* Closes at each step in turn: the next hop gets it. */
static const struct step close_greet[] = { { "", NULL, 0 } };
static const struct step close_ehlo[] = { GREET, { "EHLO", NULL, 0 } };
static const struct step close_mail[] = { HELLO, { "MAIL", NULL, 0 } };
static const struct step close_rcpt[] = { HELLO, MAIL, { "RCPT", NULL, 0 } };
static const struct step close_data[] = { HELLO, MAIL, RCPT,
	{ "DATA", NULL, 0 } };
static const struct step shut_mail[] = { HELLO,
	{ "MAIL", "421 4.3.2 bye\r\n", 0 }, NOTHING };
static const struct step shut_rcpt[] = { HELLO, MAIL,
	{ "RCPT", "421 4.3.2 bye\r\n", 0 }, NOTHING };
static const struct step shut_data[] = { HELLO, MAIL, RCPT,
	{ "DATA", "421 4.3.2 bye\r\n", 0 }, NOTHING };
static const struct step helo_no[] = { GREET, { "EHLO", "500 no\r\n", 0 },
	{ "HELO", "500 no\r\n", 0 }, NOTHING };
static const struct step garbage[] = { { "", "hello there\r\n", 0 }, NOTHING };
static const struct step code_000[] = { { "", "000 hello\r\n", 0 }, NOTHING };
static const struct step code_199[] = { { "", "199 hello\r\n", 0 }, NOTHING };
static const struct step changing[] = { { "", "220-hello\r\n250 x\r\n", 0 },
	NOTHING };
static const struct step bare_lf[] = { { "", "220 hello\n", 0 }, NOTHING };
static const struct step empty[] = { { "", "\r\n", 0 }, NOTHING };
static const struct step early_ehlo[] = { { "", "220 mx\r\n250 mx\r\n", 0 },
	NOTHING };
static const struct step early_mail[] = { GREET,
	{ "EHLO", "250 mx\r\n250 ok\r\n", 0 }, NOTHING };
static const struct step early_354[] = { HELLO, { "MAIL", "354 go\r\n", 0 },
	NOTHING };
static const struct step data_250[] = { HELLO, MAIL, RCPT,
	{ "DATA", "250 ok\r\n", 0 }, NOTHING };
static const struct step *const bad_scripts[] = { close_greet, close_ehlo,
	close_mail, close_rcpt, close_data, shut_mail, shut_rcpt, shut_data,
	helo_no, garbage, code_000, code_199, changing, bare_lf, empty,
	early_ehlo, early_mail, early_354, data_250 };

enum { NBAD = sizeof(bad_scripts) / sizeof(bad_scripts[0]) };

START_TEST(test_bad_hop_then_good)
{
	static const struct step good[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };

	server_start(&servers[0], bad_scripts[_i]);
	server_start(&servers[1], good);
	deliver_one(2);
	ck_assert_uint_eq(ntold, 1);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(told[0].duplicate, 0);
}

END_TEST

START_TEST(test_bad_hop_alone)
{
	server_start(&servers[0], bad_scripts[_i]);
	deliver_one(1);
	ck_assert_uint_eq(ntold, 1);
	ck_assert_uint_eq(told[0].outcome, OUTCOME_DEFERRED);
	ck_assert_int_eq(told[0].status[0], '4');
	ck_assert_ptr_eq(strstr(heard(&servers[0]), "hi"), NULL);
}

END_TEST

START_TEST(test_endless_replies)
{
	static char line[5000], lines[120 * 12], total[40 * 2010];
	static const struct step long_line[] = { { "", line, 0 }, NOTHING };
	static const struct step many_lines[] = { { "", lines, 0 }, NOTHING };
	static const struct step much_text[] = { { "", total, 0 }, NOTHING };
	static const struct step *const all[] = { long_line, many_lines,
		much_text };

	memset(line, '2', sizeof(line) - 1);
	lines[0] = total[0] = '\0';
	for (int i = 0; i < 120; i++)
		(void)strlcat(lines, "220-hello\r\n", sizeof(lines));
	for (int i = 0; i < 40; i++)
		(void)snprintf(
		    total + strlen(total), 2010, "220-%01990d\r\n", 0);
	server_start(&servers[0], all[_i]);
	deliver_one(1);
	expect(0, OUTCOME_DEFERRED, 0, "4.5.0");
	ck_assert_uint_eq(nunreachable, 1);
}

END_TEST

/* --- connections kept --- */

static bool
no_connections(void)
{
	for (size_t i = 0; i < servers[0].npeers; i++)
		if (servers[0].peers[i]->stream != NULL)
			return false;
	return true;
}

START_TEST(test_idle_time_ends_with_quit)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA, DOT,
		{ "QUIT", "221 bye\r\n", 0 }, NOTHING };

	numbers.idle_timeout = 100;
	use_numbers();
	server_start(&servers[0], script);
	deliver_one(1);
	until = no_connections;
	loop_run(loop);
	ck_assert_ptr_ne(strstr(heard(&servers[0]), ".\r\nQUIT\r\n"), NULL);
}

END_TEST

/* A kept connection that turns out to be dead costs nothing. */
START_TEST(test_stale_connection)
{
	static const struct step closing[] = { HELLO, MAIL, RCPT, DATA, DOT,
		{ "MAIL", NULL, 0 } };
	static const struct step shutting[] = { HELLO, MAIL, RCPT, DATA, DOT,
		{ "MAIL", "421 4.4.2 idle too long\r\n", 0 }, NOTHING };
	static const struct step good[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };
	static const struct step *const all[] = { closing, shutting };

	server_start(&servers[0], all[_i]);
	servers[0].scripts[1] = good;
	deliver_one(1);
	deliver_one(1);
	ck_assert_uint_eq(ntold, 2);
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(servers[0].npeers, 2);
}

END_TEST

/* What the next mail's domain allows is less than it has served. */
START_TEST(test_idle_has_served_enough)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA, DOT,
		{ "QUIT", "221 2.0.0 bye\r\n", 0 }, NOTHING };

	server_start(&servers[0], script);
	deliver_one(1);
	numbers.messages_per_connection = 1;
	use_numbers();
	deliver_one(1);
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(servers[0].npeers, 2);
}

END_TEST

/* Kept, dead, and nobody there any more: that is what the work says. */
START_TEST(test_stale_and_gone)
{
	static const struct step closing[] = { HELLO, MAIL, RCPT, DATA, DOT,
		{ "MAIL", NULL, 0 }, NOTHING };

	server_start(&servers[0], closing);
	deliver_one(1);
	ck_assert_uint_eq(nunreachable, 0);
	server_refuse(&servers[0]);
	deliver_one(1);
	expect(1, OUTCOME_DEFERRED, 0, "4.4.1");
	ck_assert_uint_eq(nunreachable, 1);
}

END_TEST

/* --- no way out --- */

START_TEST(test_no_hops)
{
	struct mail m = to_one;

	m.hops = "";
	give(&m);
	m.hops = "smtp://mx.example.com:0 relay://192.0.2.1";
	give(&m);
	run(2);
	expect(0, OUTCOME_DEFERRED, 0, "4.4.4");
	expect(1, OUTCOME_DEFERRED, 0, "4.3.5");
	ck_assert_uint_eq(nunreachable, 0);
}

END_TEST

START_TEST(test_own_listener)
{
	static const struct step good[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };
	static const char *const listeners[] = { "127.0.0.1", "0.0.0.0" };

	server_start(&servers[0], good);
	config->listeners = xcalloc(1, sizeof(*config->listeners));
	config->nlisteners = 1;
	addr_parse(str_of(listeners[_i]), &config->listeners[0].addr);
	config->listeners[0].port = servers[0].port;
	deliver_one(1);
	expect(0, OUTCOME_FAILED, 0, "5.4.6");
	ck_assert_uint_eq(servers[0].npeers, 0);
	ck_assert_uint_eq(nunreachable, 0);
}

END_TEST

/* --- the house around it --- */

static bool
got_a_mail_line(void)
{
	return strstr(heard(&servers[0]), "MAIL") != NULL;
}

static bool
got_capacity(void)
{
	return capacity != 0;
}

START_TEST(test_queue_dies_and_comes_back)
{
	static const struct step stuck[] = { HELLO, NOTHING };
	static const struct step good[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };

	server_start(&servers[0], stuck);
	servers[0].scripts[1] = good;
	give_one(1);
	until = got_a_mail_line;
	loop_run(loop);
	ck_assert_uint_eq(agent_count(), 1);
	channel_free(&queue);
	until = no_connections;
	loop_run(loop);
	ck_assert_uint_eq(agent_count(), 0);
	capacity = 0;
	connect_queue();
	until = got_capacity;
	loop_run(loop);
	until = NULL;
	deliver_one(1);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

static void
breach_file(void)
{
	struct tell_work_file f = { .file = STDIN_FILENO };

	channel_tell(queue, TYPE_tell_work_file, &f, next_id);
}

static void
breach_content(void)
{
	struct tell_work_content m = { .bytes = STR("more than announced") };

	channel_tell(queue, TYPE_tell_work_content, &m, next_id);
}

static void
breach_rcpt(void)
{
	struct tell_work_rcpt m = { .to = STR("x@y") };

	channel_tell(queue, TYPE_tell_work_rcpt, &m, next_id + 7);
}

/* A queue that makes no sense loses its channel; nothing else happens. */
START_TEST(test_malformed_work)
{
	static void (*const breaches[])(
	    void) = { breach_file, breach_content, breach_rcpt };
	struct tell_work m = { .msgid = STR("0123456789abcdef"),
		.nrcpt = _i < 3 ? 1 : 0,
		.inline_size = 4 };

	channel_tell(queue, TYPE_tell_work, &m, ++next_id);
	if (_i < 3)
		breaches[_i]();
	loop_run(loop);
	ck_assert_ptr_eq(queue, NULL);
	ck_assert_uint_eq(agent_count(), 0);
}

END_TEST

static unsigned int nrows, nanswers;
static uint8_t last_code;
static uint64_t delivered;

static void
on_row(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_stat *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	nrows++;
	if (str_eq(m->name, STR("delivery.delivered")))
		delivered = m->value;
}

static void
on_answer(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)id;
	last_code = ((const struct answer_done *)msg)->code;
	if (++nanswers == 2)
		loop_stop(loop);
}

static void
on_control_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
}

START_TEST(test_control)
{
	static const struct handler handlers[] = {
		{ TYPE_row_stat, on_row },
		{ TYPE_answer_done, on_answer },
		{ 0, NULL },
	};
	static const struct step good[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };
	struct ask_stats stats = { 0 };
	struct ask_queue other = { 0 };
	struct channel *control;
	int sv[2];

	nrows = nanswers = 0;
	server_start(&servers[0], good);
	deliver_one(1);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	control = channel_new(loop, sv[0], &control_all_edge, EDGE_A, handlers,
	    on_control_closed, NULL);
	tell_stats_serve(loop, sv[1], "delivery", agent_counters);
	channel_tell(control, TYPE_ask_stats, &stats, 1);
	channel_tell(control, TYPE_ask_queue, &other, 2);
	loop_run(loop);
	ck_assert_uint_eq(nanswers, 2);
	ck_assert_uint_eq(last_code, ANSWER_REFUSED_IT);
	ck_assert_uint_eq(nrows, 18);
	ck_assert_uint_ge(delivered, 1);
	channel_free(&control);
}

END_TEST

static void
on_stopped(void)
{
	loop_stop(loop);
}

/* What is under way comes to its end, what is idle says QUIT. */
START_TEST(test_stop)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA,
		DOT_LOOP };

	server_start(&servers[0], script);
	deliver_one(1);
	server_start(&servers[1], script);
	until = got_a_mail_line;
	servers[0].heard.len = 0;
	give_one(2);
	loop_run(loop);
	until = NULL;
	from_queue_stop();
	agent_stop(on_stopped);
	loop_run(loop);
	ck_assert_uint_eq(agent_count(), 0);
	ck_assert_uint_eq(conn_count(), 0);
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "refused hop", test_next_hop_after_refused_connection, 1 },
		{ "greetings", test_next_hop_after_bad_greetings, 1 },
		{ "never", test_all_greetings_never, 1 },
		{ "unreachable", test_nobody_reachable, 1 },
		{ "bad then good", test_bad_hop_then_good, NBAD },
		{ "bad alone", test_bad_hop_alone, NBAD },
		{ "endless", test_endless_replies, 3 },
		{ "idle", test_idle_time_ends_with_quit, 1 },
		{ "stale", test_stale_connection, 2 },
		{ "served enough", test_idle_has_served_enough, 1 },
		{ "stale and gone", test_stale_and_gone, 1 },
		{ "no hops", test_no_hops, 1 },
		{ "loop", test_own_listener, 2 },
		{ "queue dies", test_queue_dies_and_comes_back, 1 },
		{ "malformed", test_malformed_work, 4 },
		{ "control", test_control, 1 },
		{ "stop", test_stop, 1 },
	};

	return run_tests("agent", tests, sizeof(tests) / sizeof(tests[0]));
}
