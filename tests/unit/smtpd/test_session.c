/* Whole dialogues through the real session and command code. */
#include "smtpd/entrance.h"
#include "tests/unit/smtpd/talk.h"

START_TEST(one_mail)
{
	struct str c;

	accept_all();
	harness_connect(&h);
	ck_assert(
	    str_starts_nocase(buf_str(&h.got), STR("220 mx.example ESMTP")));
	TALK("EHLO client.example\r\n", "250");
	ck_assert_ptr_nonnull(strstr(h.got.p, "250-SIZE 26214400\r\n"));
	ck_assert_ptr_nonnull(strstr(h.got.p, "250-PIPELINING\r\n"));
	TALK("MAIL FROM:<A@B.Example> SIZE=100\r\n", "250");
	TALK("RCPT TO:<X@Y.EXAMPLE>\r\n", "250");
	TALK("DATA\r\n", "354");
	TALK("Subject: hi\r\n\r\n..dot\r\nline\r\n.\r\n", "250");
	ck_assert_ptr_nonnull(strstr(h.got.p, "250 2.0.0 Ok: queued as "));
	ck_assert_ptr_nonnull(strstr(h.got.p, h.fake.msgid));
	ck_assert_uint_eq(strlen(h.fake.msgid), ID_LEN);
	ck_assert_str_eq(h.fake.from, "A@b.example");
	ck_assert_str_eq(h.fake.to, "X@y.example");
	ck_assert_str_eq(h.fake.orig, "X@Y.EXAMPLE");
	ck_assert_str_eq(h.fake.client, "192.0.2.1");
	ck_assert_str_eq(h.fake.client_name, "client.example");
	ck_assert_uint_eq(h.fake.inline_size, h.fake.content.len);
	ck_assert_uint_eq(
	    h.fake.header_size + h.fake.body_size, h.fake.content.len);
	ck_assert_uint_eq(h.fake.body_size, strlen(".dot\r\nline\r\n"));
	c = buf_str(&h.fake.content);
	ck_assert(str_starts_nocase(
	    c, STR("Received: from client.example (unknown [192.0.2.1])\r\n"
		   "\tby mx.example with ESMTP id ")));
	buf_add_char(&h.fake.content, '\0');
	ck_assert_ptr_nonnull(
	    strstr(h.fake.content.p, "\r\n\tfor <X@y.example>;\r\n\t"));
	ck_assert_ptr_nonnull(strstr(
	    h.fake.content.p, "\r\nSubject: hi\r\n\r\n.dot\r\nline\r\n"));
	TALK("QUIT\r\n", "221 EOF");
}

END_TEST

START_TEST(pipelined)
{
	accept_all();
	begin();
	TALK("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<a@b>\r\nNOOP\r\n"
	     "RCPT TO:<\"a\"@B>\r\nBANANA\r\nDATA\r\n",
	    "250 250 250 250 250 500 354");
	TALK("x\r\n.\r\nRSET\r\nMAIL FROM:<c@d>\r\nDATA\r\nQUIT\r\n",
	    "250 250 250 503 EOF");
	ck_assert_str_eq(h.fake.to, "a@b");
	ck_assert_str_eq(h.fake.from, "");
	ck_assert_uint_eq(h.fake.ncommits, 1);
}

END_TEST

/* Every split of a transcript gives the same replies and the same mail. */
START_TEST(every_split)
{
	static const char text[] =
	    "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
	    "A: b\r\n\r\n..\r\n.x\r\ny\r\n.\r\nRSET\r\n";
	size_t all = strlen(text);

	accept_all();
	for (size_t at = 1; at < all; at++) {
		begin();
		harness_say(&h, str_head(str_of(text), at), 0);
		struct buf first = h.got;
		buf_init(&h.got, first.max);
		h.until = NULL;
		size_t n = count_replies(buf_str(&first));
		harness_say(&h, str_skip(str_of(text), at), 5 - n);
		buf_add_str(&first, buf_str(&h.got));
		ck_assert_uint_eq(count_replies(buf_str(&first)), 5);
		buf_clear(&first);
		buf_add_char(&h.fake.content, '\0');
		ck_assert_ptr_nonnull(strstr(
		    h.fake.content.p, "\r\nA: b\r\n\r\n.\r\nx\r\ny\r\n"));
		harness_hang_up(&h);
	}
	ck_assert_uint_eq(h.fake.ncommits, all - 1);
}

END_TEST

START_TEST(order)
{
	accept_all();
	h.config->limits.errors = h.config->limits.soft_errors = 100;
	harness_connect(&h);
	TALK("MAIL FROM:<a@b>\r\n", "503");
	TALK("HELO\r\n", "501");
	TALK("HELO a b\r\n", "501");
	TALK("HELO [1.2.3.4]\r\n", "250");
	TALK("HELO [1.2.3.444]\r\n", "501");
	TALK("RCPT TO:<a@b>\r\n", "503");
	TALK("DATA\r\n", "503");
	TALK("MAIL FROM:<a@b>\r\n", "250");
	TALK("MAIL FROM:<a@b>\r\n", "503");
	TALK("DATA\r\n", "503");
	TALK("EHLO x\r\n", "250");
	TALK("RCPT TO:<a@b>\r\n", "503");
	TALK("MAIL FROM:<a@b> FOO=1\r\n", "555");
	TALK("MAIL FROM:<a@b> SIZE=1 SIZE=1\r\n", "501");
	TALK("MAIL FROM:<a@b> BODY=BINARYMIME\r\n", "501");
	TALK("MAIL FROM:<\xc3\xa9@b>\r\n", "553");
	TALK("MAIL FROM:<\xc3\xa9@b> SMTPUTF8\r\n", "250");
	TALK("RCPT TO:<\xc3\xa9@b>\r\n", "250");
	TALK("RSET x\r\n", "501");
	TALK("RSET\r\n", "250");
	TALK("MAIL FROM:<a@b>\r\n", "250");
	TALK("RCPT TO:<\xc3\xa9@b>\r\n", "553");
	TALK("RCPT TO:<>\r\n", "501");
	TALK("RCPT TO:<nobody>\r\n", "501");
	TALK("RCPT TO:<Postmaster>\r\n", "250");
	TALK("STARTTLS\r\n", "503");
	TALK("EXPN x\r\n", "502");
	TALK("\r\n", "500");
	TALK(" NOOP\r\n", "500");
	TALK("NOOP x y\r\n", "250");
	TALK("HELP\r\n", "214");
	TALK("DATA\r\n", "354");
	TALK(".\r\n", "250");
	ck_assert_str_eq(h.fake.to, "Postmaster@example.com");
	TALK("DATA\r\n", "503");
}

END_TEST

START_TEST(verdicts)
{
	h.config->limits.soft_errors = 100;
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n", "250 550");
	ck_assert_ptr_nonnull(strstr(h.got.p, "550 5.7.1 "));
	TALK("DATA\r\n", "503");
	harness_rule(h.config, VERDICT_TEMPFAIL, NULL);
	TALK("RCPT TO:<a@b>\r\n", "451");
	h.config->rules[0].verdict = VERDICT_REJECT;
	h.config->rules[0].reply = xstrdup("552 5.2.2 full");
	TALK("RCPT TO:<a@b>\r\n", "552");
	TALK("VRFY x\r\n", "550");
	h.config->rules[0].verdict = VERDICT_ACTION;
	h.config->rules[0].action = &h.config->actions[0];
	TALK("VRFY x\r\n", "252");
	TALK("VRFY\r\n", "501");
	TALK("RCPT TO:<a@b>\r\n", "250");
}

END_TEST

/* Disconnects at each byte leave nothing behind. */
START_TEST(gone_at_each_byte)
{
	static const char text[] =
	    "EHLO x\r\nMAIL FROM:<a@b>\r\n"
	    "RCPT TO:<c@d>\r\nDATA\r\nA: b\r\n\r\nx\r\n.";

	accept_all();
	for (size_t n = 0; n <= strlen(text); n++) {
		harness_connect(&h);
		harness_say(&h, str_head(str_of(text), n), 0);
		harness_hang_up(&h);
		ck_assert_uint_eq(sessions_count(), 0);
	}
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

START_TEST(bad_lines)
{
	static const struct str bad[] = { { "NOOP\n", 5 }, { "NO\rOP\r\n", 7 },
		{ "NOOP\n\r\n", 7 }, { "NOOP\r\r\n", 7 }, { "NO\0OP\r\n", 7 } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		talk_bytes(bad[i], "500 EOF", __LINE__);
		harness_hang_up(&h);
	}
	static const char *const foreign[] = { "GET / HTTP/1.1\r\n",
		"post / HTTP/1.1\r\n", "CONNECT x:25\r\n", "\x16\x03\x01\x02",
		"\x80\x2e\x01" };
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		harness_connect(&h);
		TALK(foreign[i], "521 EOF");
		harness_hang_up(&h);
	}
	harness_connect_to(&h, 0, "EHLO x\r\n");
	TALK("", "554 EOF");
}

END_TEST

START_TEST(long_lines)
{
	struct buf b;

	begin();
	buf_init(&b, 1 << 20);
	for (size_t n = 2047; n <= 60000; n = n < 2050 ? n + 1 : n * 3) {
		buf_reset(&b);
		buf_add_str(&b, STR("NOOP "));
		while (b.len < n - 2)
			buf_add_char(&b, 'x');
		buf_add_str(&b, STR("\r\n"));
		talk_bytes(buf_str(&b), n <= 2048 ? "250" : "500", __LINE__);
	}
	TALK("NOOP\r\n", "250");
	buf_reset(&b);
	while (b.len < 3000)
		buf_add_char(&b, 'x');
	buf_add_char(&b, '\n');
	talk_bytes(buf_str(&b), "500 EOF", __LINE__);
	harness_hang_up(&h);
	begin();
	while (b.len < 70000)
		buf_add_char(&b, 'x');
	b.p[3000] = 'x';
	talk_bytes(buf_str(&b), "421 EOF", __LINE__);
	buf_clear(&b);
}

END_TEST

START_TEST(errors)
{
	h.config->limits.errors = 4;
	h.config->limits.soft_errors = 2;
	h.config->limits.error_delay = 1;
	begin();
	TALK("X\r\nX\r\nX\r\nX\r\nX\r\n", "500 500 500 421 EOF");
	harness_hang_up(&h);
	h.config->limits.errors = 100;
	h.config->limits.soft_errors = 100;
	h.config->limits.junk_commands = 10;
	begin();
	TALK("NOOP\r\nRSET\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n"
	     "NOOP\r\n",
	    "250 250 250 250 250 250 250 250 250");
	TALK("NOOP\r\nNOOP\r\n", "421 EOF");
}

END_TEST

START_TEST(counts)
{
	accept_all();
	h.config->limits.messages_per_connection = 2;
	h.config->limits.recipients = 2;
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nRCPT TO:<b@b>\r\n"
	     "RCPT TO:<c@b>\r\nRCPT TO:<d@b>\r\nDATA\r\n",
	    "250 250 250 452 452 354");
	TALK(".\r\n", "250");
	ck_assert_str_eq(h.fake.to, "a@b b@b");
	TALK("MAIL FROM:<a@b>\r\nRSET\r\n", "250 250");
	TALK("MAIL FROM:<a@b>\r\n", "421 EOF");
}

END_TEST

START_TEST(submit)
{
	accept_all();
	harness_connect_to(&h, 1, NULL);
	harness_replies(&h, 1);
	TALK("HELO localhost\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
	    "250 250 250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.client, "local");
	ck_assert(str_starts_nocase(buf_str(&h.fake.content),
	    STR("Received: from localhost (uid 1000)\r\n"
		"\tby mx.example with SMTP id ")));
}

END_TEST

/* Content that came together with a DATA that is refused is no command. */
START_TEST(refused_data)
{
	accept_all();
	begin();
	TALK("MAIL FROM:<a@b>\r\nDATA\r\nMAIL FROM:<c@d>\r\n.\r\n",
	    "250 503 EOF");
}

END_TEST

static bool emptied;

static void
on_empty_test(void)
{
	emptied = true;
}

START_TEST(stop)
{
	accept_all();
	begin_data();
	sessions_stop(on_empty_test);
	TALK("x\r\n.\r\n", "250 421 EOF");
	harness_hang_up(&h);
	ck_assert(emptied);
	sessions_restart();
	emptied = false;
	begin();
	sessions_stop(on_empty_test);
	TALK("", "421 EOF");
	harness_hang_up(&h);
	ck_assert(emptied);
}

END_TEST

static void
tell_paused(bool paused)
{
	struct tell_paused m = { .paused = paused };

	channel_tell(h.fake.ch, TYPE_tell_paused, &m, 0);
}

/* Who is at something finishes that; who is not goes; nobody else comes, our
 * own users neither. */
START_TEST(paused)
{
	static const struct addr clients[] = { { .family = ADDR_LOCAL },
		{ .family = ADDR_V4, .bytes = { [15] = 1 } } };
	static const struct listener l = { .id = 0 };
	struct entrance e;

	accept_all();
	begin_data();
	tell_paused(true);
	harness_settle(&h);
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
		entrance_ask(&e, h.config, &l, &clients[i]);
		ck_assert_str_eq(e.reply, SESSIONS_PAUSED_REPLY);
		ck_assert_str_eq(e.why, "paused");
		entrance_ask_balancer(&e, h.config, &l, &clients[i]);
		ck_assert_str_eq(e.reply, SESSIONS_PAUSED_REPLY);
	}
	/* Said again nothing changes. */
	tell_paused(true);
	harness_settle(&h);
	TALK("x\r\n.\r\n", "250 421 EOF");
	harness_hang_up(&h);
	tell_paused(false);
	harness_settle(&h);
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "250");
	tell_paused(true);
	harness_settle(&h);
	TALK("RSET\r\n", "250 421 EOF");
	harness_hang_up(&h);
	tell_paused(false);
	harness_settle(&h);
	begin();
	tell_paused(true);
	TALK("", "421 EOF");
	harness_hang_up(&h);
	tell_paused(false);
	harness_settle(&h);
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "250");
}

END_TEST

/* In a transaction, and in content. */
START_TEST(time_is_up)
{
	static const struct {
		const char *said, *heard;
	} at[] = {
		{ "MAIL FROM:<a@b>\r\n", "250" },
		{ "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n",
		    "250 250 354" },
	};

	accept_all();
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		begin();
		TALK(at[i].said, at[i].heard);
		sessions_stop(on_empty_test);
		sessions_abandon();
		TALK("", "421 EOF");
		harness_hang_up(&h);
		ck_assert(emptied);
		sessions_restart();
		emptied = false;
	}
}

END_TEST

START_TEST(timeouts)
{
	accept_all();
	h.config->limits.command_timeout = 1;
	harness_connect_to(&h, 0, NULL);
	TALK("", "220 421 EOF");
	harness_hang_up(&h);
	h.config->limits.command_timeout = 300000;
	h.config->limits.data_timeout = 1;
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
	    "250 250 354 421 EOF");
	harness_hang_up(&h);
	h.config->limits.data_timeout = 300000;
	h.config->limits.data_grace = 1;
	h.config->limits.data_rate = 1000000000;
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n",
	    "250 250 354 421 EOF");
}

END_TEST

/* What accepted mails made use of. */
START_TEST(extensions)
{
	static const struct {
		const char *mail, *rcpt;
		bool dsn, utf8;
	} cases[] = {
		{ "", "", false, false },
		{ " SMTPUTF8", "", false, true },
		{ " RET=HDRS", "", true, false },
		{ " ENVID=one", "", true, false },
		{ " BODY=8BITMIME", " NOTIFY=NEVER", true, false },
		{ " SMTPUTF8", " ORCPT=rfc822;a@b", true, true },
	};

	accept_all();
	begin();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t dsn = stats_all()[STAT_DSN].value;
		uint64_t utf8 = stats_all()[STAT_SMTPUTF8].value;
		char line[200];

		snprintf(line, sizeof(line),
		    "MAIL FROM:<a@b>%s\r\nRCPT TO:<c@d>%s\r\nDATA\r\n",
		    cases[i].mail, cases[i].rcpt);
		TALK(line, "250 250 354");
		TALK("x\r\n.\r\n", "250");
		ck_assert_uint_eq(
		    stats_all()[STAT_DSN].value, dsn + cases[i].dsn);
		ck_assert_uint_eq(
		    stats_all()[STAT_SMTPUTF8].value, utf8 + cases[i].utf8);
	}
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { one_mail, pipelined, every_split, order,
		verdicts, gone_at_each_byte, bad_lines, long_lines, errors,
		counts, submit, refused_data, stop, paused, time_is_up,
		timeouts, extensions };

	return run_tests("session", tests, sizeof(tests) / sizeof(tests[0]));
}
