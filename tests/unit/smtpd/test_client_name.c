/* Who calls, with a resolver that is played: who waits for the answer, and what
 * of it reaches headers and the log. */
#include "tests/unit/smtpd/fake_names.h"
#include "tests/unit/smtpd/talk.h"

static bool
was_asked(struct harness *x)
{
	(void)x;
	return names.nasked > 0;
}

/* A rule with one condition and this verdict. */
static void
rule_if(enum cond_kind kind, bool negate, enum verdict_kind verdict)
{
	struct rule *r = harness_rule(h.config, verdict, NULL);

	r->conds = xcalloc(1, sizeof(*r->conds));
	r->conds[0].kind = kind;
	r->conds[0].negate = negate;
	r->nconds = 1;
}

static bool
received_has(const char *text)
{
	buf_add_char(&h.fake.content, '\0');
	h.fake.content.len--;
	return str_starts_nocase(buf_str(&h.fake.content), str_of(text));
}

static const char one_mail_said[] =
    "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";

START_TEST(in_received)
{
	static const struct {
		enum client_name state;
		const char *name, *text;
	} cases[] = {
		{ CLIENT_NAME_CONFIRMED, "mail.client.example",
		    "mail.client.example" },
		{ CLIENT_NAME_UNCONFIRMED, "", "unknown" },
		{ CLIENT_NAME_UNCONFIRMED, "mail.client.example", "unknown" },
		{ CLIENT_NAME_NONE, "", "unknown" },
		{ CLIENT_NAME_FAULT, "", "unknown" },
		{ CLIENT_NAME_FAULT, "mail.client.example", "unknown" },
	};

	static const struct {
		const char *from, *literal;
	} clients[] = { { "192.0.2.7", "[192.0.2.7]" },
		{ "2001:db8::7", "[IPv6:2001:db8::7]" } };

	char want[200];

	accept_all();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t k = 0; k < 2; k++) {
			callers_clear();
			names_start(&h, cases[i].state, cases[i].name);
			h.from = clients[k].from;
			begin();
			TALK(one_mail_said, "250 250 354");
			TALK("A: b\r\n\r\nx\r\n.\r\n", "250");
			ck_assert_str_eq(names.address, clients[k].from);
			snprintf(want, sizeof(want),
			    "Received: from client.example (%s %s)\r\n\tby ",
			    cases[i].text, clients[k].literal);
			ck_assert(received_has(want));
			ck_assert_ptr_nonnull(
			    strstr(h.fake.content.p, "\r\nA: b\r\n\r\nx\r\n"));
			ck_assert_uint_eq(
			    h.fake.header_size + 3, h.fake.content.len);
			ck_assert_uint_eq(h.fake.body_size, 3);
			harness_hang_up(&h);
			names_stop(&h);
		}
}

END_TEST

/* Nobody waits for a name that no rule asks for; it is taken when it comes
 * before the end of the content, and not when it comes behind it. */
START_TEST(late_for_received)
{
	accept_all();
	names_start(&h, CLIENT_NAME_CONFIRMED, "late.example");
	names.hold = true;
	begin();
	harness_until(&h, was_asked);
	TALK(one_mail_said, "250 250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert(received_has("Received: from client.example (unknown [192"));
	TALK(one_mail_said, "250 250 354");
	harness_say(&h, STR("x\r\n"), 0);
	names_answer(0, CLIENT_NAME_CONFIRMED, "late.example");
	harness_settle(&h);
	TALK(".\r\n", "250");
	ck_assert(
	    received_has("Received: from client.example (late.example [192"));
}

END_TEST

/* A body in a file: what goes on top goes to the header block. */
START_TEST(large_body)
{
	struct buf b;
	size_t lines = 6000;

	accept_all();
	names_start(&h, CLIENT_NAME_CONFIRMED, "big.example");
	begin();
	TALK(one_mail_said, "250 250 354");
	buf_init(&b, 1 << 20);
	buf_add_str(&b, STR("Subject: big\r\n\r\n"));
	for (size_t i = 0; i < lines; i++)
		buf_addf(&b, "%062zu\r\n", i);
	buf_add_str(&b, STR(".\r\n"));
	talk_bytes(buf_str(&b), "250", __LINE__);
	buf_clear(&b);
	ck_assert_uint_eq(h.fake.nfiles, 1);
	ck_assert_uint_eq(h.fake.inline_size, h.fake.header_size);
	ck_assert_uint_eq(h.fake.body_size, lines * 64);
	ck_assert(received_has("Received: from client.example (big.example "));
	ck_assert_int_eq(memcmp(h.fake.content.p + h.fake.header_size - 16,
			     "Subject: big\r\n\r\n", 16),
	    0);
}

END_TEST

/* What the log says of client's name, event by event. */
START_TEST(in_log)
{
	static const char *const want[] = {
		" accepted session=", " rdns=mail.client.example nrcpt=1 ",
		" reject session=", " rdns=mail.client.example arg=",
		" disconnect session=", " rdns=mail.client.example reason=quit"
	};
	char text[8192];
	int fd = memfd_create("log", MFD_CLOEXEC);
	ssize_t n;

	log_set_fd(fcntl(fd, F_DUPFD_CLOEXEC, 0), LOG_SINK_STREAM);
	accept_all();
	names_start(&h, CLIENT_NAME_CONFIRMED, "mail.client.example");
	begin();
	TALK(one_mail_said, "250 250 354");
	TALK(".\r\nRCPT TO:<x@y>\r\nQUIT\r\n", "250 503 221 EOF");
	harness_settle(&h);
	log_flush();
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	n = pread(fd, text, sizeof(text) - 1, 0);
	close(fd);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	const char *at = text;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		at = strstr(at, want[i]);
		ck_assert_msg(at != NULL, "no %s in\n%s", want[i], text);
	}
}

END_TEST

/* The rule that asks for it holds the command, and what is pipelined behind;
 * replies stay in order. */
START_TEST(rcpt_waits)
{
	uint64_t waited = stats_all()[STAT_RDNS_WAITED].value;

	rule_if(COND_FCRDNS, false, VERDICT_ACTION);
	for (int pass = 0; pass < 2; pass++) {
		callers_clear();
		names_start(&h, CLIENT_NAME_NONE, "");
		names.hold = true;
		begin();
		TALK("MAIL FROM:<a@b>\r\n", "250");
		harness_say(&h, STR("RCPT TO:<c@d>\r\nNOOP\r\nBANANA\r\n"), 0);
		harness_until(&h, was_asked);
		ck_assert_uint_eq(h.got.len, 0);
		names_answer(0,
		    pass == 0 ? CLIENT_NAME_CONFIRMED : CLIENT_NAME_NONE,
		    pass == 0 ? "c.example" : "");
		TALK("", pass == 0 ? "250 250 500" : "550 250 500");
		TALK("QUIT\r\n", "221 EOF");
		harness_hang_up(&h);
		names_stop(&h);
	}
	ck_assert_uint_eq(stats_all()[STAT_RDNS_WAITED].value, waited + 2);
}

END_TEST

START_TEST(vrfy_waits)
{
	rule_if(COND_RDNS, true, VERDICT_REJECT);
	accept_all();
	names_start(&h, CLIENT_NAME_NONE, "");
	names.hold = true;
	begin();
	harness_say(&h, STR("VRFY x@y\r\n"), 0);
	ck_assert_uint_eq(h.got.len, 0);
	names_answer(0, CLIENT_NAME_UNCONFIRMED, "");
	TALK("", "252");
	harness_hang_up(&h);
	callers_clear();
	begin();
	harness_say(&h, STR("VRFY x@y\r\n"), 0);
	names_answer(1, CLIENT_NAME_NONE, "");
	TALK("", "550");
}

END_TEST

/* A rule before it decides without the name; the postmaster is not kept
 * waiting either. */
START_TEST(who_does_not_need_it)
{
	struct rule *r;

	r = harness_rule(h.config, VERDICT_REJECT, NULL);
	r->conds = xcalloc(2, sizeof(*r->conds));
	r->conds[0].kind = COND_RDNS;
	r->conds[0].negate = true;
	r->conds[1].kind = COND_FROM_LOCAL;
	r->nconds = 2;
	accept_all();
	names_start(&h, CLIENT_NAME_NONE, "");
	names.hold = true;
	begin();
	harness_until(&h, was_asked);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	h.config->rules[0].nconds = 1;
	h.config->postmaster = xstrdup("chief@example.com");
	rule_if(COND_FROM_ANY, false, VERDICT_ACTION);
	h.config->rules[0].verdict = VERDICT_TEMPFAIL;
	h.config->rules[0].conds[0].negate = false;
	TALK("RCPT TO:<postmaster@example.com>\r\n", "250");
}

END_TEST

/* Nobody asks about these, and a rule says no at once. */
START_TEST(not_asked)
{
	rule_if(COND_RDNS, false, VERDICT_ACTION);
	names_start(&h, CLIENT_NAME_CONFIRMED, "c.example");
	harness_connect_to(&h, 1, NULL);
	harness_replies(&h, 1);
	TALK("HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250 550");
	harness_hang_up(&h);
	h.config->listeners[0].flags = LISTENER_NO_RDNS;
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 550");
	harness_hang_up(&h);
	h.config->listeners[0].flags = 0;
	h.config->nservers = 0;
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 550");
	harness_hang_up(&h);
	h.config->nservers = 1;
	harness_connect_to(&h, 0, "EHLO too early\r\n");
	TALK("", "554 EOF");
	harness_settle(&h);
	ck_assert_uint_eq(names.nasked, 0);
}

END_TEST

START_TEST(fault)
{
	rule_if(COND_RDNS, true, VERDICT_REJECT);
	accept_all();
	names_start(&h, CLIENT_NAME_FAULT, "");
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nVRFY c@d\r\n", "250 451 451");
	ck_assert_ptr_nonnull(strstr(h.got.p, "451 4.4.3 Your address could "));
	harness_hang_up(&h);
	/* No resolver at all: at once. */
	callers_clear();
	from_resolver_stop();
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 451");
	harness_hang_up(&h);
	/* A state that is no answer. */
	names_start(&h, CLIENT_NAME_PENDING, "");
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 451");
	ck_assert_uint_eq(names.nasked, 1);
}

END_TEST

/* A name that anybody could have written is nobody's. */
START_TEST(unconfirmed)
{
	rule_if(COND_HELO_PTR, false, VERDICT_REJECT);
	rule_if(COND_FCRDNS, false, VERDICT_REJECT);
	accept_all();
	names_start(&h, CLIENT_NAME_UNCONFIRMED, "client.example");
	begin();
	TALK(one_mail_said, "250 250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert(received_has("Received: from client.example (unknown ["));
	harness_hang_up(&h);
	callers_clear();
	names_stop(&h);
	names_start(&h, CLIENT_NAME_CONFIRMED, "client.example");
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 550");
}

END_TEST

/* The resolver dies while two wait; its successor is asked anew. */
START_TEST(resolver_lost)
{
	struct stream *first;

	rule_if(COND_RDNS, false, VERDICT_ACTION);
	names_start(&h, CLIENT_NAME_CONFIRMED, "c.example");
	names.hold = true;
	begin();
	harness_say(&h, STR("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"), 1);
	first = h.client;
	begin();
	harness_say(&h, STR("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"), 1);
	harness_until(&h, was_asked);
	ck_assert_uint_eq(names.nasked, 1);
	channel_free(&names.ch);
	TALK("", "451 451");
	stream_close(&first);
	harness_hang_up(&h);
	names_start(&h, CLIENT_NAME_CONFIRMED, "c.example");
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	ck_assert_uint_eq(names.nasked, 1);
}

END_TEST

/* The client goes while it waits, closes its side (and still gets its reply),
 * or we stop. */
START_TEST(gone_while_waiting)
{
	rule_if(COND_RDNS, false, VERDICT_ACTION);
	for (int how = 0; how < 3; how++) {
		callers_clear();
		names_start(&h, CLIENT_NAME_CONFIRMED, "c.example");
		names.hold = true;
		begin();
		TALK("MAIL FROM:<a@b>\r\n", "250");
		harness_say(&h, STR("RCPT TO:<c@d>\r\n"), 0);
		harness_until(&h, was_asked);
		switch (how) {
		case 0:
			harness_hang_up(&h);
			break;
		case 1:
			shutdown(stream_fd(h.client), SHUT_WR);
			harness_settle(&h);
			ck_assert_uint_eq(sessions_count(), 1);
			break;
		default:
			sessions_abandon();
			TALK("", "421 EOF");
			break;
		}
		names_answer(0, CLIENT_NAME_CONFIRMED, "c.example");
		if (how == 1)
			TALK("", "250 EOF");
		harness_hang_up(&h);
		ck_assert_uint_eq(sessions_count(), 0);
		names_stop(&h);
	}
}

END_TEST

/* There is an end to waiting; from then on it is a fault, at once, until the
 * name does come. */
START_TEST(waited_in_vain)
{
	rule_if(COND_RDNS, false, VERDICT_ACTION);
	names_start(&h, CLIENT_NAME_CONFIRMED, "c.example");
	names.hold = true;
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 451");
	ck_assert_ptr_nonnull(strstr(h.got.p, "451 4.4.3 "));
	TALK("RCPT TO:<c@d>\r\nVRFY c@d\r\nNOOP\r\n", "451 451 250");
	names_answer(0, CLIENT_NAME_CONFIRMED, "c.example");
	harness_settle(&h);
	TALK("RCPT TO:<c@d>\r\n", "250");
}

END_TEST

/* --- what the name of a client may not do (faults.md D-18) --- */

START_TEST(bad_names)
{
	static const struct str bad[] = { { "", 0 }, { " ", 1 }, { "a b", 3 },
		{ "a\r\nBcc: x@y", 11 }, { "a\nb", 3 }, { "a\tb", 3 },
		{ "\033[2J.example", 12 }, { "a..b", 4 }, { ".", 1 },
		{ "a.example)", 10 }, { "(a.example", 10 }, { "a\\b", 3 },
		{ "a\"b", 3 }, { "a=b", 3 }, { "%s%n", 4 },
		{ "\xc3\xa9.example", 10 }, { "\xff.example", 9 },
		{ "198.51.100.9", 12 }, { "2001:db8::9", 11 },
		{ "[198.51.100.9]", 14 }, { "a@b", 3 }, { "a;b", 3 } };

	rule_if(COND_FCRDNS, false, VERDICT_REJECT);
	rule_if(COND_RDNS, false, VERDICT_ACTION);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		callers_clear();
		names_start(&h, CLIENT_NAME_CONFIRMED, "");
		names.answer.name = bad[i];
		begin();
		harness_say(&h, str_of(one_mail_said), 3);
		ck_assert_msg(strstr(h.got.p, "354 ") != NULL, "name %zu", i);
		TALK("x\r\n.\r\n", "250");
		ck_assert_msg(received_has("Received: from client.example "
					   "(unknown [192.0.2.1])\r\n\tby "),
		    "name %zu", i);
		harness_hang_up(&h);
		names_stop(&h);
	}
}

END_TEST

/* The longest name there is, and one that breaks the contract. */
START_TEST(long_names)
{
	char name[256] = "", want[400];

	for (size_t i = 0; i < 255; i++)
		name[i] = i % 64 == 63 ? '.' : 'a';
	accept_all();
	names_start(&h, CLIENT_NAME_CONFIRMED, name);
	begin();
	TALK(one_mail_said, "250 250 354");
	TALK("x\r\n.\r\n", "250");
	snprintf(
	    want, sizeof(want), "Received: from client.example (%s [", name);
	ck_assert(received_has(want));
	harness_hang_up(&h);
	callers_clear();
	h.config->rules[0].verdict = VERDICT_REJECT;
	h.config->rules[0].conds = xcalloc(1, sizeof(struct cond));
	h.config->rules[0].conds[0].kind = COND_RDNS;
	h.config->rules[0].nconds = 1;
	names.hold = true;
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "250");
	harness_say(&h, STR("RCPT TO:<c@d>\r\n"), 0);
	/* A frame no resolver of ours would send: an answer to nothing. */
	tell_name(UINT64_MAX);
	TALK("", "451");
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { in_received, unconfirmed,
		late_for_received, large_body, in_log, rcpt_waits, vrfy_waits,
		who_does_not_need_it, not_asked, fault, resolver_lost,
		gone_while_waiting, waited_in_vain, bad_names, long_names };

	return run_tests(
	    "client_name", tests, sizeof(tests) / sizeof(tests[0]));
}
