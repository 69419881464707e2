/*
 * Commands against a gateway that always says the same: what is printed, as
 * text and as JSON, and the exit status. Mail and the gateway itself; the
 * rest is in test_views.c.
 */
#include "lib/base/clock.h"
#include "tests/unit/posternctl/gateway.h"

/* --- the gateway --- */

static void
on_term(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_term *m = msg;
	bool *is_empty = ctx;

	(void)ch;
	(void)id;
	*is_empty = m->kind == TERM_STATE;
}

static void
on_queue(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	bool *is_empty = ctx;
	struct row_message m = { .msgid = STR(ID),
		.received_ms = clock_wall_ms() - 125500,
		.size = 2048,
		.from = STR("evil\033[2J@example.com"),
		.state = STATE_DEFERRED,
		.flags = ENVELOPE_8BIT,
		.client = STR("192.0.2.1"),
		.client_name = STR("unknown"),
		.listener = STR("127.0.0.1:25") };
	struct row_rcpt r = { .to = STR("a@example.net"),
		.state = RCPT_DEFERRED,
		.action = STR("out"),
		.attempts = 2,
		.next_ms = 1500,
		.reply = STR("451 4.3.0 \"later\""),
		.relay = STR("mx[192.0.2.9]:25") };
	struct row_rcpt done_one = { .to = STR("b@example.net"),
		.state = RCPT_DELIVERED };

	(void)msg;
	if (!*is_empty) {
		channel_tell(ch, TYPE_row_message, &m, id);
		channel_tell(ch, TYPE_row_rcpt, &r, id);
		channel_tell(ch, TYPE_row_rcpt, &done_one, id);
	}
	done(ch, id, ANSWER_OK, "");
}

static void
on_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_content *m = msg;
	struct row_content row = { STR("Subject: x\r\n\r\n\377\000"), 0 };

	(void)ctx;
	if (!str_eq(m->msgid, STR(ID))) {
		done(ch, id, ANSWER_NOT_FOUND, "");
		return;
	}
	/* In pieces that no base64 group fits. */
	for (size_t n = 0; n < row.bytes.len; n += 5) {
		struct row_content piece = {
			str_head(str_skip(row.bytes, n), 5), 0
		};
		channel_tell(ch, TYPE_row_content, &piece, id);
	}
	done(ch, id, ANSWER_OK, "");
}

static void
on_change(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_change *m = msg;
	const bool *is_empty = ctx;

	switch ((enum change)m->change) {
	case CHANGE_FLUSH:
		done(ch, id, ANSWER_OK, "");
		break;
	case CHANGE_HOLD:
		done(ch, id, ANSWER_NOT_FOUND, "no such message");
		break;
	case CHANGE_RELEASE:
	case CHANGE_REQUEUE:
		done(ch, id, ANSWER_REFUSED_IT, "permission denied");
		break;
	case CHANGE_UNQUARANTINE:
	case CHANGE_REJECT:
	case CHANGE_RESCAN:
	case CHANGE_REMOVE:
		/* Of the quarantine: the term says so. */
		if (*is_empty)
			done(ch, id, ANSWER_OK, "");
		else
			done(ch, id, ANSWER_UNAVAILABLE,
			    "temporarily unavailable");
		break;
	}
}

static void
on_status(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_gateway g = { .version = STR("0.1"),
		.pid = 77,
		.uptime_s = 3600,
		.hostname = STR("mx.example") };
	struct row_process p = { .role = STR("smtpd"),
		.instance = 1,
		.pid = 78,
		.uptime_s = 60,
		.restarts = 3,
		.sandbox = STR("seccomp") };
	struct row_listener l = {
		.address = STR("::1"), .port = 25, .sessions = 9
	};

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_gateway, &g, id);
	channel_tell(ch, TYPE_row_process, &p, id);
	channel_tell(ch, TYPE_row_listener, &l, id);
	done(ch, id, ANSWER_OK, "");
}

/* Hangs up instead of answering. */
static void
on_stop(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
	_exit(0);
}

static void
on_stats(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_stat a = { STR("queue.messages"), 12, STR(""), 0 };
	struct row_stat b = { STR("smtpd.accepted"), 34, STR(""), 0 };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_stat, &a, id);
	channel_tell(ch, TYPE_row_stat, &b, id);
	done(ch, id, ANSWER_OK, "");
}

static void
on_dnssec(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_dnssec row = { .on = 1 };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_dnssec, &row, id);
	done(ch, id, ANSWER_OK, "");
}

static void
on_quarantine(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	bool *is_empty = ctx;
	struct row_quarantined q = { .msgid = STR(ID),
		.from = STR("evil\033[2J@example.com"),
		.size = 2048,
		.filter = STR("clamav"),
		.reason = STR("virus \"EICAR\""),
		.since_ms = 1500,
		.expires_ms = 0 };
	struct row_rcpt r = { .to = STR("a@example.net"),
		.state = RCPT_QUARANTINED,
		.action = STR("out") };

	(void)msg;
	if (!*is_empty) {
		channel_tell(ch, TYPE_row_quarantined, &q, id);
		channel_tell(ch, TYPE_row_rcpt, &r, id);
		r.to = STR("b@example.net");
		r.state = RCPT_DELIVERED;
		channel_tell(ch, TYPE_row_rcpt, &r, id);
	}
	done(ch, id, ANSWER_OK, "");
}

static void
on_trace(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_trace *m = msg;
	struct row_event rows[] = {
		{ .when_ms = 1000,
		    .event = STR("accepted"),
		    .text =
			STR("from=a@b nrcpt=1 size=012 helo=\"x \\\"y\\\\\"") },
		{ .when_ms = 2000,
		    .event = STR("milter"),
		    .text = STR("name=\"a\\x1bb\" event=2 no pair") },
		{ .when_ms = 3000, .event = STR("removed") },
	};

	(void)ctx;
	if (!str_eq(m->msgid, STR(ID))) {
		done(ch, id, ANSWER_NOT_FOUND, "");
		return;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		channel_tell(ch, TYPE_row_event, &rows[i], id);
	done(ch, id, ANSWER_OK, "");
}

static const struct handler handlers[] = {
	{ TYPE_ask_quarantine, on_quarantine },
	{ TYPE_ask_trace, on_trace },
	{ TYPE_tell_term, on_term },
	{ TYPE_ask_queue, on_queue },
	{ TYPE_ask_content, on_content },
	{ TYPE_ask_change, on_change },
	{ TYPE_ask_status, on_status },
	{ TYPE_ask_stats, on_stats },
	{ TYPE_ask_dnssec, on_dnssec },
	{ TYPE_ask_stop, on_stop },
	{ 0, NULL },
};

static void
setup(void)
{
	start_gateway(handlers);
}

/* --- the commands --- */

/* What holds a time of now is looked at key by key. */
static void
expect_keys(const char *line, const char *keys)
{
	char copy[256], wanted[64];
	char id[] = ID;
	char *argv[] = { strstr(line, ID) == NULL ? NULL : id, NULL };
	struct call call = {
		.socket = address.sun_path, .json = true, .argv = argv
	};

	snprintf(copy, sizeof(copy), "%s", keys);
	ck_assert_int_eq(
	    argv[0] == NULL ? show_queue(&call) : show_envelope(&call), 0);
	buf_add_char(out_buf(), '\0');
	ck_assert(strstr(out_buf()->p,
		      "{\"to\":\"a@example.net\",\"state\":\"deferred\","
		      "\"attempts\":2,\"next\":\"1970-01-01T00:00:01.500Z\","
		      "\"reply\":\"451 4.3.0 \\\"later\\\"\"") != NULL);
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " ")) {
		snprintf(wanted, sizeof(wanted), "\"%s\":", w);
		ck_assert_msg(strstr(out_buf()->p, wanted) != NULL,
		    "no %s in %s", w, out_buf()->p);
	}
	buf_reset(out_buf());
}

START_TEST(listings)
{
	expect("show queue", false, CTL_DONE,
	    "ID               AGE   SIZE   STATE       FROM\n" ID
	    " 2m    2.0K   deferred    <evil\\x1B[2J@example.com>\n"
	    "    to <a@example.net> deferred, 2 tries, next try now\n"
	    "        451 4.3.0 \"later\"\n"
	    "    to <b@example.net> delivered\n");
	expect("show queue state held", true, CTL_DONE, "[]\n");
	expect("show queue state held", false, CTL_DONE, "");
	expect("show envelope " ID, false, CTL_DONE, NULL);
	expect_keys("show queue", "age size state received client");
	expect_keys(
	    "show envelope " ID, "client_name listener received recipients");
	expect("show queue banana", true, CTL_USAGE, "");
	expect("show envelope nosuch", true, CTL_REFUSED, "");
}

END_TEST

START_TEST(content)
{
	expect("show headers " ID, true, CTL_DONE,
	    "{\"id\":\"" ID
	    "\",\"content_base64\":\"U3ViamVjdDogeA0KDQr/AA==\"}\n");
	expect("show message 0000000000000000", true, CTL_REFUSED, "");
	expect("show message x", false, CTL_REFUSED, "");
}

END_TEST

START_TEST(changes)
{
	expect("flush all", true, CTL_DONE,
	    "{\"matched\":2,\"changed\":1,\"operation\":7}\n");
	expect("flush all", false, CTL_DONE,
	    "2 matched, 1 to be tried now (operation 7)\n");
	expect("flush all --dry-run", false, CTL_DONE,
	    "2 matched, 1 would be tried now, nothing was changed\n");
	expect("hold " ID, true, CTL_REFUSED,
	    "{\"matched\":0,\"changed\":0,\"operation\":7}\n");
	expect("release domain d", true, CTL_REFUSED, "");
	expect("requeue domain d", true, CTL_REFUSED, "");
	expect("remove all -y", true, CTL_SILENT, "");
	expect("remove", true, CTL_USAGE, "");
	expect("stop", true, CTL_SILENT, "");
}

END_TEST

START_TEST(status_and_stats)
{
	expect("show status", true, CTL_DONE,
	    "{\"version\":\"0.1\",\"pid\":77,\"uptime\":3600,"
	    "\"hostname\":\"mx.example\",\"processes\":[{\"role\":\"smtpd\","
	    "\"instance\":1,\"pid\":78,\"uptime\":60,\"restarts\":3,"
	    "\"sandbox\":\"seccomp\"}],\"listeners\":[{\"address\":\"::1\","
	    "\"port\":25,\"sessions\":9}],\"paused\":[],\"dnssec\":true}\n");
	expect("show status", false, CTL_DONE,
	    "postern 0.1 on mx.example, pid 77, up 60m\n"
	    "PROCESS      PID      UPTIME  RESTARTS  SANDBOX\n"
	    "smtpd 1      78       60s     3         seccomp\n"
	    "LISTENER                                SESSIONS\n"
	    "[::1]:25                                9\n"
	    "what is paused is not known: the queue does not answer\n"
	    "dnssec on\n");
	expect("show stats", true, CTL_DONE,
	    "{\"queue.messages\":12,\"smtpd.accepted\":34}\n");
	expect("show stats", false, CTL_DONE,
	    "queue.messages                  12\n"
	    "smtpd.accepted                  34\n");
}

END_TEST

START_TEST(quarantine)
{
	expect("quarantine list", true, CTL_DONE,
	    "[{\"id\":\"" ID "\",\"from\":\"evil\\u001b[2J@example.com\","
	    "\"size\":2048,\"filter\":\"clamav\","
	    "\"reason\":\"virus \\\"EICAR\\\"\","
	    "\"since\":\"1970-01-01T00:00:01.500Z\",\"expires\":null,"
	    "\"recipients\":[{\"to\":\"a@example.net\","
	    "\"state\":\"quarantined\",\"action\":\"out\"},"
	    "{\"to\":\"b@example.net\",\"state\":\"delivered\","
	    "\"action\":\"out\"}]}]\n");
	expect("quarantine list state held", true, CTL_DONE, "[]\n");
	expect("quarantine list state held", false, CTL_DONE, "");
	expect("quarantine list banana", false, CTL_USAGE, "");
	expect("quarantine show " ID, false, CTL_DONE,
	    "id        " ID "\n"
	    "from      evil\\x1B[2J@example.com\n"
	    "size      2.0K\n"
	    "filter    clamav\n"
	    "reason    virus \"EICAR\"\n"
	    "since     1970-01-01T00:00:01.500Z\n"
	    "expires   never\n"
	    "to        a@example.net\n"
	    "  state   quarantined\n"
	    "  action  out\n"
	    "to        b@example.net\n"
	    "  state   delivered\n"
	    "  action  out\n");
	expect("quarantine show nosuch", false, CTL_REFUSED, "");
	expect("quarantine release " ID, false, CTL_DONE,
	    "2 matched, 1 released (operation 7)\n");
	expect("quarantine reject milter clamav", false, CTL_DONE,
	    "2 matched, 1 rejected (operation 7)\n");
	expect("quarantine rescan all --dry-run", false, CTL_DONE,
	    "2 matched, 1 would be looked at again, nothing was changed\n");
	expect("quarantine rescan all", true, CTL_DONE,
	    "{\"matched\":2,\"changed\":1,\"operation\":7}\n");
	expect("quarantine remove " ID, false, CTL_DONE,
	    "2 matched, 1 removed (operation 7)\n");
	expect("quarantine remove", false, CTL_USAGE, "");
}

END_TEST

START_TEST(trace)
{
	expect("trace " ID, true, CTL_DONE,
	    "[{\"time\":\"1970-01-01T00:00:01.000Z\",\"event\":\"accepted\","
	    "\"from\":\"a@b\",\"nrcpt\":1,\"size\":\"012\","
	    "\"helo\":\"x \\\"y\\\\\"},"
	    "{\"time\":\"1970-01-01T00:00:02.000Z\",\"event\":\"milter\","
	    "\"name\":\"a\\u001bb\",\"event_\":2,\"text\":\"no pair\"},"
	    "{\"time\":\"1970-01-01T00:00:03.000Z\","
	    "\"event\":\"removed\"}]\n");
	expect("trace " ID, false, CTL_DONE,
	    "1970-01-01T00:00:01.000Z accepted from=a@b nrcpt=1 size=012 "
	    "helo=\"x \\\\\"y\\\\\\\\\"\n"
	    "1970-01-01T00:00:02.000Z milter name=\"a\\\\x1bb\" event=2 no "
	    "pair\n"
	    "1970-01-01T00:00:03.000Z removed\n");
	expect("trace 0000000000000000", true, CTL_REFUSED, "");
	expect("trace x", true, CTL_REFUSED, "");
}

END_TEST

START_TEST(nobody_there)
{
	unlink(address.sun_path);
	expect("show status", true, CTL_SILENT, "");
	expect("show queue", true, CTL_SILENT, "");
	expect("flush all", true, CTL_SILENT, "");
	expect("resolve a A", true, CTL_SILENT, "");
	expect("show routes a@x", true, CTL_SILENT, "");
	expect("show milters", true, CTL_SILENT, "");
	expect("quarantine list", true, CTL_SILENT, "");
	expect("trace " ID, true, CTL_SILENT, "");
	give("x");
	expect("test milter a", true, CTL_SILENT, "");
}

END_TEST

START_TEST(names_of_commands)
{
	static const struct {
		const char *line;
		bool is_there;
	} cases[] = {
		{ "show tables", true },
		{ "test match", true },
		{ "monitor 1", true },
		{ "quarantine", false },
		{ "show", false },
		{ "show banana", false },
		{ "banana", false },
		{ "", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char copy[64], *words[3];
		int n = 0, used;
		snprintf(copy, sizeof(copy), "%s", cases[i].line);
		for (char *w = strtok(copy, " "); w != NULL;
		     w = strtok(NULL, " "))
			words[n++] = w;
		const struct command *c = command_find(n, words, &used);
		ck_assert_int_eq(c != NULL, cases[i].is_there);
		ck_assert(c == NULL || c->run != NULL);
	}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("commands");
	TCase *c = tcase_create("all");

	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	tcase_add_unchecked_fixture(c, setup, stop_gateway);
	tcase_add_test(c, listings);
	tcase_add_test(c, content);
	tcase_add_test(c, changes);
	tcase_add_test(c, status_and_stats);
	tcase_add_test(c, quarantine);
	tcase_add_test(c, trace);
	tcase_add_test(c, names_of_commands);
	tcase_add_test(c, nobody_there);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
