/*
 * What the gateway knows beside its mail: destinations, sessions, blocks,
 * names, routes and filters, as text and as JSON; and one filter tried.
 */
#include "lib/base/bytes.h"
#include "lib/base/latency.h"
#include "tests/unit/posternctl/gateway.h"

/* --- the gateway --- */

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
		.verdict = 1,
		.reply = STR("550 5.7.1 no") };
	struct row_rule none = { .verdict = 1,
		.reply = STR("550 5.7.1 Relaying denied") };
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
	{ TYPE_ask_milters, on_milters },
	{ TYPE_tell_mail, on_mail },
	{ TYPE_ask_test_milter, on_test_milter },
	{ TYPE_ask_destinations, on_destinations },
	{ TYPE_ask_resolve, on_resolve },
	{ TYPE_ask_routes, on_routes },
	{ 0, NULL },
};

static void
setup(void)
{
	start_gateway(handlers);
}

/* --- the commands --- */

START_TEST(destinations)
{
	expect("show destinations", true, CTL_DONE,
	    "[{\"destination\":\"mx://a.example:25\",\"action\":\"out\","
	    "\"queued\":12,\"active\":0,\"connections\":0,\"window\":1,"
	    "\"backoff\":60,\"paused\":false,\"reply\":\"421 \\u001b[2J\"},"
	    "{\"destination\":\"home\",\"action\":\"home\",\"queued\":0,"
	    "\"active\":2,\"connections\":2,\"window\":3,\"backoff\":0,"
	    "\"paused\":false,\"reply\":\"\"}]\n");
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
	expect("block ::ffff:192.0.2.1/120", true, CTL_USAGE, "");
	expect("block ::ffff:192.0.2.1/90", true, CTL_USAGE, "");
	expect("unblock ::ffff:192.0.2.1", true, CTL_DONE,
	    "{\"network\":\"192.0.2.1/32\",\"changed\":1}\n");
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
	    "\"verdict\":\"action\",\"action\":\"out\","
	    "\"milters\":null,\"passed_over\":[{\"line\":9,"
	    "\"why\":\"does not hold: for domain inside\"}],\"hops\":["
	    "{\"host\":\"mx1.example.com\",\"address\":\"2001:db8::1\","
	    "\"port\":25,\"preference\":10,\"tls\":\"none\"},"
	    "{\"host\":\"mx2.example.com\",\"address\":null,\"port\":25,"
	    "\"preference\":20,\"tls\":\"none\",\"why\":\"servfail\"}]}\n");
	expect("show routes a@x", false, CTL_DONE,
	    "line 12: match from local for any action out\n"
	    "action out\n"
	    "passed over line 9: does not hold: for domain inside\n"
	    "PREF   HOST                             TLS            "
	    "ADDRESS\n"
	    "10     mx1.example.com                  none           "
	    "[2001:db8::1]:25\n"
	    "20     mx2.example.com                  none           "
	    "- (servfail)\n");
	expect("show routes b@x", true, CTL_DONE,
	    "{\"rule\":{\"line\":12,"
	    "\"text\":\"match from local for any action out\"},"
	    "\"verdict\":\"action\",\"action\":\"out\","
	    "\"milters\":null,\"passed_over\":[],"
	    "\"hops\":[]}\n");
	expect("show routes refused@x", false, CTL_DONE,
	    "line 9: match for any reject\nrefused 550 5.7.1 no\n");
	expect("show routes none@x", true, CTL_REFUSED,
	    "{\"rule\":null,\"verdict\":\"reject\",\"action\":null,"
	    "\"reply\":\"550 5.7.1 Relaying denied\",\"milters\":null,"
	    "\"passed_over\":[],"
	    "\"hops\":[]}\n");
	expect("show routes none@x", false, CTL_REFUSED,
	    "no rule matches\nrefused 550 5.7.1 Relaying denied\n");
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

int
main(void)
{
	Suite *s = suite_create("views");
	TCase *c = tcase_create("all");

	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	tcase_add_unchecked_fixture(c, setup, stop_gateway);
	tcase_add_test(c, destinations);
	tcase_add_test(c, sessions);
	tcase_add_test(c, blocks);
	tcase_add_test(c, names_and_routes);
	tcase_add_test(c, milters);
	tcase_add_test(c, test_of_a_milter);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
