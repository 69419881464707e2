/*
 * Commands against a gateway that always says the same: what is printed, as
 * text and as JSON, and the exit status. The gateway is a child process with
 * one channel.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edges/control_all.h"
#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/base/latency.h"
#include "posternctl/commands.h"
#include "posternctl/out.h"

#define ID "0Kx3f9aBcDeFgHiJ"

static char dir[] = "/tmp/test_commands.XXXXXX";
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static pid_t gateway;

/* --- the gateway --- */

static void
done(struct channel *ch, uint64_t id, enum answer_code code, const char *text)
{
	struct answer_done m = { .code = (uint8_t)code,
		.text = str_of(text),
		.matched = code == ANSWER_OK ? 2 : 0,
		.changed = code == ANSWER_OK ? 1 : 0,
		.operation = 7 };

	channel_tell(ch, TYPE_answer_done, &m, id);
}

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
	case CHANGE_UNQUARANTINE:
	case CHANGE_REJECT:
	case CHANGE_RESCAN:
		done(ch, id, ANSWER_OK, "");
		break;
	case CHANGE_HOLD:
		done(ch, id, ANSWER_NOT_FOUND, "no such message");
		break;
	case CHANGE_RELEASE:
	case CHANGE_REQUEUE:
		done(ch, id, ANSWER_REFUSED_IT, "permission denied");
		break;
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
	struct row_stat a = { STR("queue.messages"), 12, 0 };
	struct row_stat b = { STR("smtpd.accepted"), 34, 0 };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_stat, &a, id);
	channel_tell(ch, TYPE_row_stat, &b, id);
	done(ch, id, ANSWER_OK, "");
}

/* "none" is not there, "bad" not to be asked for. */
static void
on_resolve(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_resolve *m = msg;
	bool is_there = !str_eq(m->name, STR("none"));
	struct row_resolved head = { .name = m->name,
		.type = STR("TXT"),
		.status = is_there ? STR("ok") : STR("nxdomain"),
		.ad = is_there };
	struct row_record one = { .ttl_s = 300, .data = STR("\"a\\033[2J\"") };
	struct row_record two = { .ttl_s = 86400, .data = STR("\033[2J") };

	(void)ctx;
	if (str_eq(m->name, STR("bad"))) {
		done(ch, id, ANSWER_REFUSED_IT, "unknown type");
		return;
	}
	channel_tell(ch, TYPE_row_resolved, &head, id);
	if (is_there) {
		channel_tell(ch, TYPE_row_record, &one, id);
		channel_tell(ch, TYPE_row_record, &two, id);
	}
	done(ch, id, ANSWER_OK, "");
}

static void
on_routes(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_routes *m = msg;
	struct row_rule out = { .line = 12,
		.text = STR("match from local for any action out"),
		.action = STR("out") };
	struct row_rule refused = { .line = 9,
		.text = STR("match for any reject"),
		.reply = STR("550 5.7.1 no") };
	struct row_rule none = { .reply = STR("550 5.7.1 Relaying denied") };
	struct row_passed passed = { .line = 9,
		.why = STR("does not hold: for domain inside") };
	struct row_hop one = { .host = STR("mx1.example.com"),
		.address = STR("2001:db8::1"),
		.port = 25,
		.preference = 10,
		.tls = STR("none") };
	struct row_hop two = { .host = STR("mx2.example.com"),
		.port = 25,
		.preference = 20,
		.tls = STR("none"),
		.why = STR("servfail") };

	(void)ctx;
	if (str_eq(m->address, STR("refused@x")))
		channel_tell(ch, TYPE_row_rule, &refused, id);
	else if (str_eq(m->address, STR("none@x")))
		channel_tell(ch, TYPE_row_rule, &none, id);
	else
		channel_tell(ch, TYPE_row_rule, &out, id);
	if (str_eq(m->address, STR("a@x"))) {
		channel_tell(ch, TYPE_row_passed, &passed, id);
		channel_tell(ch, TYPE_row_hop, &one, id);
		channel_tell(ch, TYPE_row_hop, &two, id);
	}
	done(ch, id, ANSWER_OK, "");
}

static void
on_destinations(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_destination mx = { .destination = STR("mx://a.example:25"),
		.action = STR("out"),
		.queued = 12,
		.window = 1,
		.backoff_ms = 59001,
		.reply = STR("421 \033[2J") };
	struct row_destination maildir = {
		.action = STR("home"), .active = 2, .window = 3
	};

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_destination, &mx, id);
	channel_tell(ch, TYPE_row_destination, &maildir, id);
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

/* Two processes that know the same filter. */
static void
on_milters(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	uint8_t verdicts[8 * ROW_MILTER_VERDICTS] = { 0 };
	uint8_t latency[4 * ROW_MILTER_STAGES * LATENCY_BUCKETS] = { 0 };
	struct row_milter m = { .name = STR("rspamd"),
		.on_failure = STR("tempfail"),
		.sessions = 1,
		.connections = 10,
		.failures = 1,
		.edits = 3,
		.version = 6,
		.actions = 0x21,
		.steps = 0x100400,
		.verdicts = { (const char *)verdicts, sizeof(verdicts) },
		.latency = { (const char *)latency, sizeof(latency) } };
	struct row_milter_socket k = { .milter = STR("rspamd"),
		.socket = STR("inet:11332@127.0.0.1"),
		.sessions = 1 };

	(void)ctx;
	(void)msg;
	put_le64(verdicts + 8, 9);  /* continue */
	put_le64(verdicts + 40, 1); /* reject */
	put_le32(latency + 4 * 6 * LATENCY_BUCKETS + 4 * 9, 5);
	channel_tell(ch, TYPE_row_milter, &m, id);
	m.version = m.actions = m.steps = 0;
	m.state = 1;
	channel_tell(ch, TYPE_row_milter, &m, id);
	channel_tell(ch, TYPE_row_milter_socket, &k, id);
	k.state = 1;
	k.failures = 1;
	k.fault = STR("timeout");
	channel_tell(ch, TYPE_row_milter_socket, &k, id);
	m.name = STR("clamav");
	m.shadow = m.after_queue = 1;
	m.state = 2;
	m.sessions = 2;
	m.connections = m.failures = m.edits = 0;
	m.verdicts.len = m.latency.len = 0;
	channel_tell(ch, TYPE_row_milter, &m, id);
	done(ch, id, ANSWER_OK, "");
}

static size_t mail_size;

static void
on_mail(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_mail *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	mail_size += m->bytes.len;
}

static void
on_test_milter(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_test_milter *m = msg;
	char text[1000];
	struct row_event e = { .when_ms = 1000, .event = STR("verdict") };
	struct row_content c = { .bytes = STR("X: \033\r\n\r\n") };

	(void)ctx;
	snprintf(text, sizeof(text), "size=%zu client=%.*s from=%.*s to=%.*s",
	    mail_size, (int)m->client.len, m->client.p, (int)m->from.len,
	    m->from.p, (int)m->to.len, m->to.p);
	e.text = str_of(text);
	if (str_eq(m->milter, STR("bad")))
		e.event = STR("failed");
	channel_tell(ch, TYPE_row_event, &e, id);
	if (str_eq(m->milter, STR("good")))
		channel_tell(ch, TYPE_row_content, &c, id);
	done(ch, id, ANSWER_OK, "");
}

static void
on_sessions(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_session first = { .session = STR(ID),
		.client = STR("192.0.2.1"),
		.port = 4242,
		.peer = STR("192.0.2.9"),
		.listener = STR("127.0.0.1:25"),
		.helo = STR("evil\033[2J"),
		.state = STR("command"),
		.tls = STR("TLSv1.3 X"),
		.auth = STR("luke"),
		.listed = STR("zen.example=127.0.0.2"),
		.age_ms = 61000,
		.messages = 3,
		.errors = 2 };
	struct row_session second = { .session = STR(ID),
		.client = STR("2001:db8::1"),
		.state = STR("greeting") };

	(void)ctx, (void)msg;
	channel_tell(ch, TYPE_row_session, &first, id);
	channel_tell(ch, TYPE_row_session, &second, id);
	done(ch, id, ANSWER_OK, "");
}

static void
on_blocks(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_block first = { .network = STR("192.0.2.0/24"),
		.since_ms = 1000,
		.until_ms = 2000,
		.reason = STR("evil\033[2J"),
		.uid = 7 };
	struct row_block second = {
		.network = STR("2001:db8::/32"), .allow = 1, .since_ms = 3000
	};

	(void)ctx, (void)msg;
	channel_tell(ch, TYPE_row_block, &first, id);
	channel_tell(ch, TYPE_row_block, &second, id);
	done(ch, id, ANSWER_OK, "");
}

/* It says in its text what it heard. */
static void
on_block(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_block *m = msg;
	char text[400];

	(void)ctx;
	snprintf(text, sizeof(text), "%.*s %d %llu %.*s", (int)m->network.len,
	    m->network.p, m->allow, (unsigned long long)m->duration_ms,
	    (int)m->reason.len, m->reason.p);
	done(ch, id,
	    strcmp(text, "192.0.2.0/24 0 7200000 they hammer") == 0 ||
		    strcmp(text, "::/0 1 0 ") == 0 ||
		    strcmp(text, "0.0.0.0/0 0 0 ") == 0 ?
		ANSWER_OK :
		ANSWER_REFUSED_IT,
	    text);
}

static void
on_unblock(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_unblock *m = msg;

	(void)ctx;
	done(ch, id,
	    str_eq(m->network, STR("192.0.2.1/32")) ? ANSWER_OK :
						      ANSWER_NOT_FOUND,
	    "there is none");
}

static const struct handler handlers[] = {
	{ TYPE_ask_sessions, on_sessions },
	{ TYPE_ask_blocks, on_blocks },
	{ TYPE_ask_block, on_block },
	{ TYPE_ask_unblock, on_unblock },
	{ TYPE_ask_quarantine, on_quarantine },
	{ TYPE_ask_trace, on_trace },
	{ TYPE_ask_milters, on_milters },
	{ TYPE_tell_mail, on_mail },
	{ TYPE_ask_test_milter, on_test_milter },
	{ TYPE_ask_destinations, on_destinations },
	{ TYPE_ask_resolve, on_resolve },
	{ TYPE_ask_routes, on_routes },
	{ TYPE_tell_term, on_term },
	{ TYPE_ask_queue, on_queue },
	{ TYPE_ask_content, on_content },
	{ TYPE_ask_change, on_change },
	{ TYPE_ask_status, on_status },
	{ TYPE_ask_stats, on_stats },
	{ TYPE_ask_stop, on_stop },
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	_exit(0);
}

static void
setup(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool is_empty = false;

	ck_assert(mkdtemp(dir) != NULL);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	ck_assert_int_eq(
	    bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	gateway = fork();
	ck_assert_int_ne(gateway, -1);
	if (gateway > 0) {
		close(fd);
		return;
	}
	/* One connection after the other, each in a process of its own. */
	signal(SIGCHLD, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int conn = accept(fd, NULL, NULL);
		if (conn >= 0 && fork() == 0) {
			struct loop *l = loop_new();
			channel_new(l, conn, &control_all_edge, EDGE_B,
			    handlers, on_closed, &is_empty);
			loop_run(l);
		}
		close(conn);
	}
}

static void
teardown(void)
{
	kill(gateway, SIGKILL);
	waitpid(gateway, NULL, 0);
	unlink(address.sun_path);
	rmdir(dir);
}

/* --- the commands --- */

/* Runs words (blank separated) and compares; printed NULL: do not care. */
static void
expect(const char *line, bool is_json, int status, const char *printed)
{
	static const struct command none = { .usage = "" };
	char copy[256], *words[16];
	size_t n = 0;
	int used = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
		words[n++] = w;
	words[n] = NULL;
	const struct command *c = command_find((int)n, words, &used);
	ck_assert(c != NULL && c->run != NULL);
	struct call call = { .socket = address.sun_path,
		.json = is_json,
		.argc = (int)n - used,
		.argv = words + used,
		.command = &none };
	int got = c->run(&call);
	struct buf *out = out_buf();
	ck_assert_msg(printed == NULL || str_eq(buf_str(out), str_of(printed)),
	    "%s printed\n%.*s", line, (int)out->len, out->p);
	ck_assert_msg(got == status, "%s ended with %d", line, got);
	buf_reset(out);
}

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
	    "ID               AGE   SIZE   STATE     FROM\n" ID
	    " 2m    2.0K   deferred  <evil\\x1B[2J@example.com>\n"
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
	expect("flush all", false, CTL_DONE, "2 matched, 1 to be tried now\n");
	expect("flush all --dry-run", false, CTL_DONE,
	    "2 matched, nothing was changed\n");
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
	    "\"port\":25,\"sessions\":9}],\"paused\":[],\"dnssec\":false}\n");
	expect("show status", false, CTL_DONE,
	    "postern 0.1 on mx.example, pid 77, up 60m\n"
	    "PROCESS      PID      UPTIME  RESTARTS  SANDBOX\n"
	    "smtpd 1      78       60s     3         seccomp\n"
	    "LISTENER                                SESSIONS\n"
	    "[::1]:25                                9\n");
	expect("show stats", true, CTL_DONE,
	    "{\"queue.messages\":12,\"smtpd.accepted\":34}\n");
	expect("show stats", false, CTL_DONE,
	    "queue.messages                  12\n"
	    "smtpd.accepted                  34\n");
}

END_TEST

START_TEST(destinations)
{
	expect("show destinations", true, CTL_DONE,
	    "[{\"destination\":\"mx://a.example:25\",\"action\":\"out\","
	    "\"queued\":12,\"active\":0,\"connections\":0,\"window\":1,"
	    "\"backoff\":60,\"reply\":\"421 \\u001b[2J\"},"
	    "{\"destination\":\"home\",\"action\":\"home\",\"queued\":0,"
	    "\"active\":2,\"connections\":2,\"window\":3,\"backoff\":0,"
	    "\"reply\":\"\"}]\n");
	expect("show destinations", false, CTL_DONE,
	    "QUEUED  ACTIVE  WINDOW  BACKOFF  DESTINATION\n"
	    "12      0       1       60s      mx://a.example:25\n"
	    "    421 \\x1B[2J\n"
	    "0       2       3       -        home\n");
}

END_TEST

START_TEST(sessions)
{
	expect("show sessions", true, CTL_DONE,
	    "[{\"session\":\"" ID "\",\"client\":\"192.0.2.1\","
	    "\"port\":4242,\"helo\":\"evil\\u001b[2J\","
	    "\"state\":\"command\",\"tls\":\"TLSv1.3 X\","
	    "\"auth\":\"luke\",\"age\":61,\"messages\":3,\"errors\":2,"
	    "\"peer\":\"192.0.2.9\",\"listener\":\"127.0.0.1:25\","
	    "\"listed\":\"zen.example=127.0.0.2\"},"
	    "{\"session\":\"" ID "\",\"client\":\"2001:db8::1\","
	    "\"port\":0,\"helo\":null,\"state\":\"greeting\",\"tls\":null,"
	    "\"auth\":null,\"age\":0,\"messages\":0,\"errors\":0,"
	    "\"peer\":\"\",\"listener\":\"\",\"listed\":null}]\n");
	expect("show sessions", false, CTL_DONE,
	    "SESSION          AGE   MAILS  STATE      CLIENT\n" ID
	    " 61s   3      command    192.0.2.1 helo=evil\\x1B[2J "
	    "tls=TLSv1.3 X auth=luke listed=zen.example=127.0.0.2 errors=2\n" ID
	    " 0s    0      greeting   2001:db8::1\n");
}

END_TEST

START_TEST(blocks)
{
	expect("show blocks", true, CTL_DONE,
	    "[{\"network\":\"192.0.2.0/24\",\"kind\":\"deny\","
	    "\"since\":\"1970-01-01T00:00:01.000Z\","
	    "\"until\":\"1970-01-01T00:00:02.000Z\","
	    "\"reason\":\"evil\\u001b[2J\",\"uid\":7},"
	    "{\"network\":\"2001:db8::/32\",\"kind\":\"allow\","
	    "\"since\":\"1970-01-01T00:00:03.000Z\",\"until\":null,"
	    "\"reason\":\"\",\"uid\":0}]\n");
	expect("show blocks", false, CTL_DONE, NULL);
	expect("block 192.0.2.0/24 for 2h", true, CTL_REFUSED, "");
	expect("allow ::/0", true, CTL_DONE,
	    "{\"network\":\"::/0\",\"changed\":1}\n");
	expect("block 0.0.0.0/0", true, CTL_REFUSED, "");
	expect("block 0.0.0.0/0 -y", false, CTL_DONE, "0.0.0.0/0 is blocked\n");
	expect("block 192.0.2.1/24", true, CTL_USAGE, "");
	expect("block 192.0.2.1 for", true, CTL_USAGE, "");
	expect("block 192.0.2.1 for 0", true, CTL_USAGE, "");
	expect("allow banana", true, CTL_USAGE, "");
	expect("unblock 192.0.2.1", true, CTL_DONE,
	    "{\"network\":\"192.0.2.1/32\",\"changed\":1}\n");
	expect("unblock 192.0.2.1", false, CTL_DONE,
	    "192.0.2.1/32 has no entry any more\n");
	expect("unblock 192.0.2.2", false, CTL_REFUSED, "");
}

END_TEST

START_TEST(names_and_routes)
{
	expect("resolve example.com TXT", true, CTL_DONE,
	    "{\"name\":\"example.com\",\"type\":\"TXT\",\"status\":\"ok\","
	    "\"ad\":true,\"records\":[{\"ttl\":300,"
	    "\"data\":\"\\\"a\\\\033[2J\\\"\"},"
	    "{\"ttl\":86400,\"data\":\"\\u001b[2J\"}]}\n");
	expect("resolve example.com txt", false, CTL_DONE,
	    "example.com TXT: ok, authenticated\n"
	    "TTL       DATA\n"
	    "300       \"a\\\\033[2J\"\n"
	    "86400     \\x1B[2J\n");
	expect("resolve none TXT", true, CTL_REFUSED,
	    "{\"name\":\"none\",\"type\":\"TXT\",\"status\":\"nxdomain\","
	    "\"ad\":false,\"records\":[]}\n");
	expect("resolve none TXT", false, CTL_REFUSED, "none TXT: nxdomain\n");
	expect("resolve bad X", true, CTL_REFUSED, "");
	expect("resolve x AAAAAAAAAAAAAAAAA", true, CTL_USAGE, "");
	expect("show routes a@x", true, CTL_DONE,
	    "{\"rule\":{\"line\":12,"
	    "\"text\":\"match from local for any action out\"},"
	    "\"action\":\"out\",\"passed_over\":[{\"line\":9,"
	    "\"why\":\"does not hold: for domain inside\"}],\"hops\":["
	    "{\"host\":\"mx1.example.com\",\"address\":\"2001:db8::1\","
	    "\"port\":25,\"preference\":10,\"tls\":\"none\"},"
	    "{\"host\":\"mx2.example.com\",\"address\":null,\"port\":25,"
	    "\"preference\":20,\"tls\":\"none\",\"why\":\"servfail\"}]}\n");
	expect("show routes a@x", false, CTL_DONE,
	    "line 12: match from local for any action out\n"
	    "action out\n"
	    "passed over line 9: does not hold: for domain inside\n"
	    "PREF   HOST                             TLS    ADDRESS\n"
	    "10     mx1.example.com                  none   [2001:db8::1]:25\n"
	    "20     mx2.example.com                  none   - (servfail)\n");
	expect("show routes b@x", true, CTL_DONE,
	    "{\"rule\":{\"line\":12,"
	    "\"text\":\"match from local for any action out\"},"
	    "\"action\":\"out\",\"passed_over\":[],"
	    "\"hops\":[]}\n");
	expect("show routes refused@x", false, CTL_DONE,
	    "line 9: match for any reject\nrefused 550 5.7.1 no\n");
	expect("show routes none@x", true, CTL_REFUSED,
	    "{\"rule\":null,\"action\":null,"
	    "\"reply\":\"550 5.7.1 Relaying denied\",\"passed_over\":[],"
	    "\"hops\":[]}\n");
	expect("show routes none@x", false, CTL_REFUSED,
	    "no rule matches\nrefused 550 5.7.1 Relaying denied\n");
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
	    "2 matched, 1 released\n");
	expect("quarantine reject milter clamav", false, CTL_DONE,
	    "2 matched, 1 rejected\n");
	expect("quarantine rescan all --dry-run", false, CTL_DONE,
	    "2 matched, nothing was changed\n");
	expect("quarantine rescan all", true, CTL_DONE,
	    "{\"matched\":2,\"changed\":1,\"operation\":7}\n");
	expect(
	    "quarantine remove " ID, false, CTL_DONE, "2 matched, 1 removed\n");
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

START_TEST(milters)
{
	expect("show milters", true, CTL_DONE,
	    "[{\"name\":\"rspamd\",\"state\":\"resting\",\"sockets\":["
	    "{\"socket\":\"inet:11332@127.0.0.1\",\"state\":\"resting\","
	    "\"sessions\":2,\"failures\":1,\"last_failure\":\"timeout\"}],"
	    "\"on_failure\":\"tempfail\",\"shadow\":false,"
	    "\"phase\":\"session\",\"sessions\":2,\"connections\":20,"
	    "\"verdicts\":{\"accept\":0,\"continue\":18,\"quarantine\":0,"
	    "\"discard\":0,\"tempfail\":0,\"reject\":2,\"shutdown\":0},"
	    "\"edits\":6,\"failures\":2,\"skipped\":0,\"compared\":0,"
	    "\"differed\":0,\"latency_ms\":{\"p50\":1.280,\"p99\":1.536,"
	    "\"stages\":{\"content\":{\"count\":10,\"p50\":1.280,"
	    "\"p99\":1.536}}},\"version\":6,"
	    "\"actions\":[\"addhdrs\",\"quarantine\"],"
	    "\"steps\":[\"skip\",\"hdr_leadspc\"]},"
	    "{\"name\":\"clamav\",\"state\":\"probing\",\"sockets\":[],"
	    "\"on_failure\":\"tempfail\",\"shadow\":true,"
	    "\"phase\":\"queue\",\"sessions\":2,\"connections\":0,"
	    "\"verdicts\":{\"accept\":0,\"continue\":0,\"quarantine\":0,"
	    "\"discard\":0,\"tempfail\":0,\"reject\":0,\"shutdown\":0},"
	    "\"edits\":0,\"failures\":0,\"skipped\":0,\"compared\":0,"
	    "\"differed\":0,\"latency_ms\":{\"p50\":null,\"p99\":null,"
	    "\"stages\":{}},\"version\":0,\"actions\":[],\"steps\":[]}]\n");
	expect("show milters", false, CTL_DONE,
	    "rspamd: resting, 2 sessions, on-failure tempfail\n"
	    "    inet:11332@127.0.0.1 resting, 2 sessions, 1 failure, last: "
	    "timeout\n"
	    "    verdicts   continue 18 reject 2\n"
	    "    counted    connections 20 edits 6 failures 2\n"
	    "    protocol   version 6\n"
	    "    actions    addhdrs quarantine\n"
	    "    steps      skip hdr_leadspc\n"
	    "    STAGE          COUNT     P50 MS     P99 MS\n"
	    "    content           10      1.280      1.536\n"
	    "    all               10      1.280      1.536\n"
	    "clamav: probing, 2 sessions, on-failure tempfail, shadow, phase "
	    "queue\n");
}

END_TEST

/* What a filter is shown comes from standard input. */
static void
give(const char *mail)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(
	    (int)write(fds[1], mail, strlen(mail)), (int)strlen(mail));
	close(fds[1]);
	ck_assert_int_eq(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	close(fds[0]);
}

START_TEST(test_of_a_milter)
{
	give("Subject: x\n\nab\r\n");
	expect("test milter good client 192.0.2.1 from <a@b> to <c@d>", true,
	    CTL_DONE,
	    "{\"milter\":\"good\",\"events\":[{\"time\":"
	    "\"1970-01-01T00:00:01.000Z\",\"event\":\"verdict\","
	    "\"size\":18,\"client\":\"192.0.2.1\",\"from\":\"a@b\","
	    "\"to\":\"c@d\"}],\"content_base64\":\"WDogGw0KDQo=\"}\n");
	give("x");
	expect("test milter good", false, CTL_DONE,
	    "1970-01-01T00:00:01.000Z verdict size=1 client=local from= "
	    "to=postmaster@localhost\n\nX: \033\r\n\r\n");
	give("");
	expect("test milter rejects from <>", true, CTL_DONE,
	    "{\"milter\":\"rejects\",\"events\":[{\"time\":"
	    "\"1970-01-01T00:00:01.000Z\",\"event\":\"verdict\","
	    "\"size\":0,\"client\":\"local\",\"from\":\"\","
	    "\"to\":\"postmaster@localhost\"}],\"content_base64\":null}\n");
	give("x");
	expect("test milter bad", false, CTL_REFUSED, NULL);
	expect("test milter good colour red", false, CTL_USAGE, "");
	expect("test milter good helo", false, CTL_USAGE, "");
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
		bool is_reserved;
	} cases[] = {
		{ "show tables", true },
		{ "undo", true },
		{ "test match", true },
		{ "quarantine", false },
		{ "monitor", true },
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
		ck_assert_int_eq(c != NULL, cases[i].is_reserved);
		ck_assert(c == NULL || c->run == NULL);
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
	tcase_add_unchecked_fixture(c, setup, teardown);
	tcase_add_test(c, listings);
	tcase_add_test(c, content);
	tcase_add_test(c, changes);
	tcase_add_test(c, status_and_stats);
	tcase_add_test(c, destinations);
	tcase_add_test(c, sessions);
	tcase_add_test(c, blocks);
	tcase_add_test(c, names_and_routes);
	tcase_add_test(c, quarantine);
	tcase_add_test(c, trace);
	tcase_add_test(c, milters);
	tcase_add_test(c, test_of_a_milter);
	tcase_add_test(c, names_of_commands);
	tcase_add_test(c, nobody_there);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
