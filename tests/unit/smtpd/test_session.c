/* Whole dialogues through the real session, command and body code. */
#include <check.h>

#include "tests/unit/smtpd/harness.h"

static struct harness h;

static void
setup(void)
{
	harness_open(&h);
}

static void
teardown(void)
{
	harness_close(&h);
}

static void
accept_all(void)
{
	harness_rule(h.config, VERDICT_ACTION, NULL);
}

/* Sends and compares the reply codes: "250 354", "421 EOF". */
static void
talk_bytes(struct str bytes, const char *want, int line)
{
	char codes[4096] = "";
	size_t n = 0, len = 0;

	for (const char *p = want; *p != '\0'; p++)
		n += p == want || p[-1] == ' ';
	if (strstr(want, "EOF") != NULL)
		n += 100; /* all there is */
	harness_say(&h, bytes, n);
	for (struct str s = buf_str(&h.got); s.len > 4;) {
		size_t lf = str_find(s, '\n');

		if (s.p[3] == ' ' && len + 5 < sizeof(codes))
			len +=
			    (size_t)snprintf(codes + len, sizeof(codes) - len,
				"%s%.3s", len > 0 ? " " : "", s.p);
		s = str_skip(s, lf + 1);
	}
	if (h.eof)
		snprintf(codes + len, sizeof(codes) - len, "%sEOF",
		    len > 0 ? " " : "");
	ck_assert_msg(strcmp(codes, want) == 0, "line %d: wanted %s got %s\n%s",
	    line, want, codes, h.got.p);
}

#define TALK(text, want)  talk_bytes(str_of(text), (want), __LINE__)
#define TALKN(text, want) talk_bytes(STR(text), (want), __LINE__)

static void
begin(void)
{
	harness_connect(&h);
	TALK("EHLO client.example\r\n", "250");
}

static void
begin_data(void)
{
	begin();
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	TALK("RCPT TO:<x@y.example>\r\n", "250");
	TALK("DATA\r\n", "354");
}

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
	    c, STR("Received: from client.example ([192.0.2.1])\r\n"
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
	TALK("STARTTLS\r\n", "502");
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

START_TEST(size)
{
	struct buf b;

	accept_all();
	h.config->limits.message_size = 65536;
	begin();
	TALK("MAIL FROM:<a@b> SIZE=65537\r\n", "552");
	TALK("MAIL FROM:<a@b> SIZE=99999999999999999999\r\n", "552");
	buf_init(&b, 1 << 20);
	for (int over = 0; over <= 1; over++) {
		TALK("MAIL FROM:<a@b> SIZE=65536\r\nRCPT TO:<a@b>\r\nDATA\r\n",
		    "250 250 354");
		buf_reset(&b);
		buf_add_str(&b, STR("\r\n"));
		/* Stuffed dots do not count. */
		while (b.len < 65500)
			buf_add_str(&b, STR("..\r\n"));
		size_t counted = b.len - (b.len - 2) / 4;
		while (counted + 100 < 65534 + (size_t)over) {
			for (int i = 0; i < 98; i++)
				buf_add_char(&b, 'x');
			buf_add_str(&b, STR("\r\n"));
			counted += 100;
		}
		for (; counted < 65534 + (size_t)over; counted++)
			buf_add_char(&b, 'x');
		buf_add_str(&b, STR("\r\n.\r\n"));
		talk_bytes(buf_str(&b), over ? "552" : "250", __LINE__);
	}
	/* A stop at twice the size. */
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	buf_reset(&b);
	while (b.len < 140000)
		buf_add_str(&b, STR("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"));
	talk_bytes(buf_str(&b), "421 EOF", __LINE__);
	buf_clear(&b);
}

END_TEST

/* n lines of 62 bytes and CRLF, then the dot. */
static void
send_lines(size_t n, const char *want, int line)
{
	struct buf b;

	buf_init(&b, 64 << 20);
	buf_add_str(&b, STR("Subject: big\r\n\r\n"));
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%062zu\r\n", i);
	buf_add_str(&b, STR(".\r\n"));
	talk_bytes(buf_str(&b), want, line);
	if (h.fake.bodyfile != 0 || h.fake.inline_size > 0) {
		struct str body =
		    str_skip(buf_str(&h.fake.content), h.fake.header_size);
		struct str sent = str_skip(buf_str(&b), 16);

		sent.len -= 3;
		if (strcmp(want, "250") == 0)
			ck_assert(str_eq(body, sent));
	}
	buf_clear(&b);
}

START_TEST(large)
{
	accept_all();
	begin_data();
	send_lines(4095, "250", __LINE__);
	ck_assert_uint_eq(h.fake.nfiles, 0);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	send_lines(4096, "250", __LINE__);
	ck_assert_uint_eq(h.fake.nfiles, 1);
	ck_assert_uint_eq(h.fake.bodyfile, 1);
	ck_assert_uint_eq(h.fake.body_size, 4096 * 64);
	ck_assert_uint_eq(h.fake.inline_size, h.fake.header_size);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	send_lines(100000, "250", __LINE__);
	ck_assert_uint_eq(h.fake.nfiles, 2);
	ck_assert_uint_eq(h.fake.ndropped, 0);
	TALK("QUIT\r\n", "221 EOF");
}

END_TEST

START_TEST(large_refused)
{
	accept_all();
	begin_data();
	h.fake.file = FAKE_REFUSE;
	h.fake.why = REFUSED_SPACE;
	send_lines(20000, "452", __LINE__);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	h.fake.why = REFUSED_FAULT;
	send_lines(20000, "451", __LINE__);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	h.fake.file = FAKE_DIE;
	send_lines(20000, "451", __LINE__);
	TALK("MAIL FROM:<a@b>\r\n", "451");
	h.fake.file = FAKE_COMMIT;
	fake_start(&h);
	/* Given back when the mail is refused after all, or the client goes. */
	h.config->limits.message_size = 1000000;
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	send_lines(20000, "552", __LINE__);
	ck_assert_uint_eq(h.fake.ndropped, 1);
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	struct buf b;
	buf_init(&b, 1 << 20);
	while (b.len < 400000)
		buf_add_str(&b, STR("0123456789\r\n"));
	harness_say(&h, buf_str(&b), 0);
	buf_clear(&b);
	harness_hang_up(&h);
	ck_assert_uint_eq(h.fake.ndropped, 2);
	ck_assert_uint_eq(sessions_count(), 0);
}

END_TEST

/* The channel dies while a file is open, another takes its place: the file
 * is void. */
START_TEST(large_other_queue)
{
	struct buf b;

	accept_all();
	begin_data();
	buf_init(&b, 1 << 20);
	while (b.len < 400000)
		buf_add_str(&b, STR("0123456789\r\n"));
	harness_say(&h, buf_str(&b), 0);
	ck_assert_uint_eq(h.fake.nfiles, 1);
	buf_clear(&b);
	channel_free(&h.fake.ch);
	harness_settle(&h);
	fake_start(&h);
	TALK(".\r\n", "451");
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

static bool
is_held(struct harness *x)
{
	return x->fake.held != 0;
}

START_TEST(queue_says_no)
{
	static const struct {
		enum queue_refusal why;
		const char *code;
	} cases[] = { { REFUSED_FAULT, "451" }, { REFUSED_SPACE, "452" },
		{ REFUSED_BUSY, "451" }, { REFUSED_MALFORMED, "451" } };

	accept_all();
	begin();
	h.fake.answer = FAKE_REFUSE;
	for (size_t i = 0; i < 4; i++) {
		h.fake.why = cases[i].why;
		TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n",
		    "250 250 354");
		TALK("x\r\n.\r\n", cases[i].code);
	}
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", "250 250 354");
	h.fake.answer = FAKE_DIE;
	TALK("x\r\n.\r\n", "451");
	TALK("MAIL FROM:<a@b>\r\n", "451");
	fake_start(&h);
	TALK("MAIL FROM:<a@b>\r\n", "250");
}

END_TEST

START_TEST(space)
{
	struct tell_space m = { .state = SPACE_SHORT };

	accept_all();
	begin();
	channel_tell(h.fake.ch, TYPE_tell_space, &m, 0);
	harness_settle(&h);
	TALK("MAIL FROM:<a@b>\r\n", "452");
	m.state = SPACE_SUSPECT;
	channel_tell(h.fake.ch, TYPE_tell_space, &m, 0);
	harness_settle(&h);
	TALK("MAIL FROM:<a@b>\r\n", "451");
	m.state = SPACE_OK;
	channel_tell(h.fake.ch, TYPE_tell_space, &m, 0);
	harness_settle(&h);
	TALK("MAIL FROM:<a@b>\r\n", "250");
}

END_TEST

/* Commands behind the dot wait for the queue's answer; replies in order. */
START_TEST(commit_waits)
{
	struct answer_commit yes = { 0 };

	accept_all();
	begin_data();
	h.fake.answer = FAKE_HOLD;
	harness_say(&h, STR("x\r\n.\r\nNOOP\r\nBANANA\r\nQUIT\r\n"), 0);
	harness_until(&h, is_held);
	ck_assert_uint_eq(h.got.len, 0);
	channel_tell(h.fake.ch, TYPE_answer_commit, &yes, h.fake.held);
	TALK("", "250 250 500 221 EOF");
}

END_TEST

/* The client is gone before the answer: the commit stands. */
START_TEST(gone_after_the_dot)
{
	struct answer_commit yes = { 0 };
	uint64_t accepted = stats_all()[STAT_ACCEPTED].value;

	accept_all();
	begin_data();
	h.fake.answer = FAKE_HOLD;
	harness_say(&h, STR("x\r\n.\r\n"), 0);
	harness_until(&h, is_held);
	stream_reset(&h.client);
	harness_settle(&h);
	channel_tell(h.fake.ch, TYPE_answer_commit, &yes, h.fake.held);
	harness_settle(&h);
	ck_assert_uint_eq(stats_all()[STAT_ACCEPTED].value, accepted + 1);
	ck_assert_uint_eq(sessions_count(), 0);
}

END_TEST

/* One that closed its side only still gets its replies. */
START_TEST(half_closed)
{
	struct answer_commit yes = { 0 };

	accept_all();
	begin_data();
	h.fake.answer = FAKE_HOLD;
	harness_say(&h, STR("x\r\n.\r\nNOOP\r\n"), 0);
	shutdown(stream_fd(h.client), SHUT_WR);
	harness_until(&h, is_held);
	harness_settle(&h);
	channel_tell(h.fake.ch, TYPE_answer_commit, &yes, h.fake.held);
	TALK("", "250 250 EOF");
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

START_TEST(header_caps)
{
	struct buf b;

	accept_all();
	h.config->limits.hops = 3;
	h.config->limits.header_fields = 5;
	h.config->limits.header_field = 1024;
	h.config->limits.header_size = 2000;
	h.config->limits.text_line = 3000;
	h.config->limits.errors = h.config->limits.soft_errors = 100;
	begin();
	buf_init(&b, 1 << 20);

	static const struct {
		const char *field;
		int n, pad;
		const char *want;
	} cases[] = {
		{ "Received: x", 3, 0, "250" },
		{ "Received: x", 4, 0, "554" },
		{ "X: y", 5, 0, "250" },
		{ "X: y", 6, 0, "554" },
		{ "X: ", 1, 1019, "250" },
		{ "X: ", 1, 1020, "552" },
		{ "X: ", 2, 990, "250" },
		{ "X: ", 3, 990, "552" },
		{ "\r\n", 1, 2996, "250" },
		{ "\r\n", 1, 3001, "554" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		TALK("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n",
		    "250 250 354");
		buf_reset(&b);
		for (int n = 0; n < cases[i].n; n++) {
			buf_add_str(&b, str_of(cases[i].field));
			for (int k = 0; k < cases[i].pad; k++)
				buf_add_char(&b, 'x');
			buf_add_str(&b, STR("\r\n"));
		}
		buf_add_str(&b, STR("\r\nbody\r\n.\r\n"));
		talk_bytes(buf_str(&b), cases[i].want, (int)i);
	}
	buf_clear(&b);
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

/* --- matrix S: what stands around a lone dot --- */

static const struct str lefts[] = { { "\r\n", 2 }, { "\n", 1 }, { "\r", 1 },
	{ "\r\r\n", 3 }, { "\n\r", 2 }, { "\n\n", 2 }, { "\r\n\n", 3 },
	{ "\n\r\n", 3 }, { "\r\n\0", 3 }, { "\0\r\n", 3 }, { "\r\n ", 3 },
	{ "\r\n\t", 3 }, { "\r\n\b", 3 }, { "\v", 1 }, { "\f", 1 },
	{ "\x85", 1 }, { "\xe2\x80\xa8", 3 }, { "", 0 }, { "xxxxxxxx", 8 } };
static const struct str rights[] = { { "\r\n", 2 }, { "\n", 1 }, { "\r", 1 },
	{ "\r\r\n", 3 }, { "\n\r", 2 }, { "\r\r", 2 }, { "\r\n\n", 3 },
	{ "\0\r\n", 3 }, { "\r\n\0", 3 }, { " \r\n", 3 }, { "\t\r\n", 3 },
	{ ".\r\n", 3 }, { "", 0 } };

/* Where content ends (behind its dot), 0: nowhere; whether it is clean. */
static size_t
reference(struct str s, bool *clean)
{
	bool bol = true;
	size_t end = 0;

	for (size_t i = 0; i + 2 < s.len && end == 0; i++) {
		if (bol && memcmp(s.p + i, ".\r\n", 3) == 0)
			end = i + 3;
		bol = i > 0 && s.p[i - 1] == '\r' && s.p[i] == '\n';
	}
	*clean = true;
	for (size_t i = 0; i < end; i++) {
		if (s.p[i] == '\0' || (s.p[i] == '\r' && s.p[i + 1] != '\n') ||
		    (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')))
			*clean = false;
	}
	return end;
}

static void
smuggle(struct str left, struct str right, bool split)
{
	struct buf b;
	bool clean;
	size_t end;

	buf_init(&b, 1 << 20);
	if (left.len > 0)
		buf_add_str(&b, STR("A: b\r\n\r\nx"));
	buf_add_str(&b, left);
	buf_add_char(&b, '.');
	buf_add_str(&b, right);
	buf_add_str(&b, STR("MAIL FROM:<forged@x>\r\nRCPT TO:<f@x>\r\nDATA\r\n"
			    "forged\r\n.\r\n"));
	end = reference(buf_str(&b), &clean);
	ck_assert_uint_gt(end, 0);
	h.fake.ncommits = 0;
	begin_data();
	if (split) {
		for (size_t i = 0; i + 1 < end; i++) {
			stream_write(h.client, b.p + i, 1);
			h.rounds = 1;
			timer_set(h.tick, 0);
			loop_run(h.loop);
		}
		talk_bytes((struct str){ b.p + end - 1, 1 },
		    clean ? "250" : "550 EOF", __LINE__);
	} else
		talk_bytes(str_head(buf_str(&b), end),
		    clean ? "250" : "550 EOF", __LINE__);
	ck_assert_uint_eq(h.fake.ncommits, clean ? 1 : 0);
	harness_hang_up(&h);
	buf_clear(&b);
}

START_TEST(matrix)
{
	accept_all();
	for (size_t l = 0; l < sizeof(lefts) / sizeof(lefts[0]); l++)
		for (size_t r = 0; r < sizeof(rights) / sizeof(rights[0]);
		     r++) {
			smuggle(lefts[l], rights[r], false);
			smuggle(lefts[l], rights[r], true);
		}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("session");
	TCase *t = tcase_create("session");
	const TTest *const tests[] = { one_mail, pipelined, every_split, order,
		verdicts, size, large, large_refused, large_other_queue,
		queue_says_no, space, commit_waits, gone_after_the_dot,
		half_closed, gone_at_each_byte, bad_lines, long_lines, errors,
		counts, header_caps, submit, refused_data, stop, time_is_up,
		timeouts, matrix };

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	log_init("test", 1, "host");
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	SRunner *r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
