/* What is remembered of sessions: within bounds, without secrets and content,
 * and of those that ended well nothing. */
#include "smtpd/cmd_data.h"
#include "tests/unit/smtpd/recorded.h"

static void
recorder_setup(void)
{
	open_vault();
	accept_all();
}

static void
recorder_teardown(void)
{
	close_vault();
	recorder_clear();
	buf_clear(&recorded);
	ck_assert_uint_eq(recordings_size(), 0);
	ck_assert_uint_eq(recorder_kept_size(), 0);
}

/* --- what stands there --- */

START_TEST(a_dialogue)
{
	begin_data();
	TALK("Subject: hidden\r\n\r\nhidden\r\n.\r\n", "250");
	ck_assert_ptr_null(strstr(live(), "hidden"));
	ck_assert(strstr(recorded.p, "- connected to 192.0.2.25:25\n"
				     "> 220 mx.example ESMTP postern\n"
				     "< EHLO client.example\n"
				     "> 250-mx.example\n") == recorded.p);
	ck_assert_ptr_nonnull(strstr(recorded.p,
	    "> 250 2.1.5 Ok\n< DATA\n> 354 End data with "
	    "<CR><LF>.<CR><LF>\n- content 30 bytes\n> 250 2.0.0 Ok: queued"));
	TALK("QUIT\r\n", "221 EOF");
	ck_assert_str_eq(kept(), "");
	ck_assert_uint_eq(recordings_size(), 0);
}

END_TEST

START_TEST(chunks)
{
	begin();
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	TALK("RCPT TO:<x@y.example>\r\n", "250");
	TALK("BDAT 6\r\nhidden", "250");
	LIVE("< BDAT 6\n- content 6 bytes\n> 250 2.0.0 6 octets received\n");
	TALK("BDAT 9\r\nhidd", "");
	harness_hang_up(&h);
	KEPT("< BDAT 9\n- content 10 bytes, not the whole\n- ended: lost\n");
}

END_TEST

/* Whoever waits for the queue for seconds. */
START_TEST(long_waits)
{
	struct answer_commit yes = { 0 };

	begin_data();
	h.fake.answer = FAKE_HOLD;
	harness_say(&h, STR("hi\r\n.\r\n"), 0);
	harness_settle(&h);
	LIVE("- content 7 bytes\n");
	the_session()->wait_ms -= 3000;
	channel_tell(h.fake.ch, TYPE_answer_commit, &yes, h.fake.held);
	harness_replies(&h, 1);
	ck_assert_ptr_nonnull(strstr(live(), "- content 7 bytes\n- waited 30"));
	ck_assert_ptr_nonnull(strstr(recorded.p, " ms: queue\n> 250 2.0.0"));
	/* Once. */
	TALK("NOOP\r\n", "250");
	ck_assert_ptr_null(strstr(strstr(live(), "- waited") + 1, "- waited"));
	/* And who goes before its end. */
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	TALK("RCPT TO:<x@y.example>\r\n", "250");
	TALK("DATA\r\n", "354");
	harness_say(&h, STR("hi\r\n.\r\n"), 0);
	harness_settle(&h);
	the_session()->wait_ms -= 4000;
	session_drop(the_session(), "lost");
	kept();
	ck_assert_ptr_nonnull(strstr(recorded.p, "- waited 40"));
	ck_assert_ptr_nonnull(strstr(recorded.p, " ms: queue\n- ended: lost"));
	channel_tell(h.fake.ch, TYPE_answer_commit, &yes, h.fake.held);
	harness_settle(&h);
}

END_TEST

/* --- how much --- */

START_TEST(the_oldest_go)
{
	size_t lost, lines = 0;
	char text[40];

	h.config->limits.junk_commands = 100000;
	begin();
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "NOOP %d\r\n", i);
		TALK(text, "250");
		ck_assert_uint_le(recordings_size(), RECORDING_MAX);
	}
	LIVE("< NOOP 999\n> 250 2.0.0 Ok\n");
	ck_assert_int_eq(
	    sscanf(recorded.p, "- %zu lines are not kept any more\n", &lost),
	    1);
	for (const char *p = recorded.p; *p != '\0'; p++)
		lines += *p == '\n';
	/* A good part of what there is room for. */
	ck_assert_uint_gt(lines, 100);
	ck_assert_uint_gt(lost + lines, 2000);
	ck_assert_uint_le(recordings_size(), RECORDING_MAX);
}

END_TEST

/* More sessions than memory for them: the later have little, the last have
 * nothing. */
START_TEST(of_all_together)
{
	enum { MANY = 20000 };
	static struct recording *r[MANY];
	char text[300];
	size_t with = 0;

	memset(text, 'x', sizeof(text));
	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < MANY; i++) {
			recording_add(&r[i], LINE_IN,
			    (struct str){ text, (i + (size_t)round) % 300 });
			ck_assert_uint_le(recordings_size(), RECORDINGS_MAX);
			ck_assert_uint_le(recording_size(r[i]), RECORDING_MAX);
		}
	for (size_t i = 0; i < MANY; i++) {
		with += r[i] != NULL;
		recording_free(&r[i]);
	}
	ck_assert_uint_gt(with, 4000);
	ck_assert_uint_eq(recordings_size(), 0);
}

END_TEST

START_TEST(the_oldest_that_failed_go)
{
	char first[ID_LEN + 1] = "";

	for (int i = 0; i < 16000; i++) {
		harness_connect(&h);
		TALK("BANANA and some more of it\r\n", "500");
		live();
		if (i == 0)
			memcpy(first, last_id, sizeof(first));
		TALK("QUIT\r\n", "221 EOF");
		harness_hang_up(&h);
		ck_assert_uint_le(recorder_kept_size(), RECORDER_KEPT_MAX);
	}
	ck_assert_uint_gt(recorder_kept_size(), RECORDER_KEPT_MAX - 4096);
	KEPT("< QUIT\n> 221 2.0.0 Bye\n- ended: quit\n");
	ck_assert_str_eq(recorder_kept_client(str_of(last_id)), "192.0.2.1");
	ck_assert_ptr_null(recorder_kept_client(str_of(first)));
}

END_TEST

/* --- lines that are none, or too long --- */

static void
of_line(const char *text, size_t len, const char *want)
{
	struct session s = { .recording = NULL };

	recorder_odd_line(&s, (struct str){ text, len });
	buf_clear(&recorded);
	buf_init(&recorded, 65536);
	recording_each(s.recording, add_recorded, NULL);
	ck_assert_str_eq(terminated(), want);
	recording_free(&s.recording);
}

#define OF_LINE(text, want) of_line((text), sizeof(text) - 1, (want))

START_TEST(odd_lines)
{
	OF_LINE("", "< \n");
	OF_LINE("GET / HTTP/1.1\r\nCookie: secret\r\n", "< GET / HTTP/1.1\n");
	OF_LINE("a\0b\0\n", "< a\xe2\x90\x80"
			    "b\xe2\x90\x80\n");
	OF_LINE("\x16\x03\x01\xff\x1b[2J", "< \x16\x03\x01\xff\x1b[2J\n");
	OF_LINE("AUTH PLAIN AGEAYg==\n", "< AUTH PLAIN ***\n");
	OF_LINE("auth login AGEAYg==\rmore", "< AUTH login ***\n");
	OF_LINE("AUTH AGEAYg==", "< AUTH ***\n");
	OF_LINE("AUTH\tPLAIN\tAGEAYg==", "< AUTH ***\n");
	OF_LINE("\tAUTH PLAIN AGEAYg==", "< ***\n");
}

END_TEST

/* A line is cut behind a whole character, and says so. */
START_TEST(long_lines)
{
	char text[2000];
	struct session s = { .recording = NULL };

	for (size_t n = 440; n < 700; n++) {
		size_t k = 0, cut, more;

		memset(text, 'a', sizeof(text));
		for (size_t i = n % 7; i + 2 < sizeof(text); i += 2) {
			text[i] = '\xc3'; /* two bytes a character */
			text[i + 1] = '\xbc';
		}
		recorder_note(&s, "%s", "before");
		recorder_command(&s, verb_too_long(), (struct str){ text, n },
		    (struct str){ text, n });
		buf_clear(&recorded);
		buf_init(&recorded, 65536);
		recording_each(s.recording, add_recorded, NULL);
		terminated();
		recording_free(&s.recording);
		const char *p = strstr(recorded.p, "\n< ") + 3;
		while (p[k] == text[k] && k < n)
			k++;
		cut = k;
		if (sscanf(p + cut, " [+%zu bytes]", &more) != 1)
			more = 0;
		ck_assert_uint_eq(cut + more, n);
		ck_assert(
		    more == 0 || ((unsigned char)text[cut] & 0xc0) != 0x80);
		ck_assert(n > 500 || more < 60);
	}
}

END_TEST

/* The cut comes behind the picture of a NUL, and in bytes that are no
 * characters. */
START_TEST(long_lines_of_bytes)
{
	struct session s = { .recording = NULL };
	char text[600];

	memset(text, '\x80', sizeof(text));
	memset(text, 'a', 455);
	text[455] = '\0';
	recorder_command(
	    &s, verb_too_long(), (struct str){ text, sizeof(text) }, STR(""));
	memset(text, '\x80', sizeof(text));
	recorder_command(
	    &s, verb_too_long(), (struct str){ text, sizeof(text) }, STR(""));
	buf_clear(&recorded);
	buf_init(&recorded, 65536);
	recording_each(s.recording, add_recorded, NULL);
	recording_free(&s.recording);
	ck_assert_ptr_nonnull(strstr(
	    terminated(), "aaa\xe2\x90\x80 [+144 bytes]\n< \x80\x80\x80"));
	ends_with(recorded.p, "\x80\x80\x80 [+147 bytes]\n");
}

END_TEST

/* --- secrets --- */

/* In one piece, and byte by byte. */
static void
masked(const char *said, const char *codes, const char *want)
{
	for (int split = 0; split < 2; split++) {
		harness_connect(&h);
		TALK("EHLO c\r\n", "250");
		if (split == 0)
			talk_bytes(str_of(said), codes, __LINE__);
		else {
			for (const char *p = said; p[1] != '\0'; p++)
				harness_say(&h, (struct str){ p, 1 }, 0);
			harness_say(&h, str_of(said + strlen(said) - 1), 0);
			harness_settle(&h);
		}
		if (sessions_count() > 0 && !h.eof)
			LIVE(want);
		ck_assert_ptr_null(strstr(live(), "AGFsaWNl"));
		ck_assert_ptr_null(strstr(recorded.p, "c2VjcmV0"));
		ck_assert_ptr_null(strstr(recorded.p, "secret"));
		harness_hang_up(&h);
		ck_assert_ptr_null(strstr(kept(), "AGFsaWNl"));
		ck_assert_ptr_null(strstr(recorded.p, "c2VjcmV0"));
		ck_assert_ptr_null(strstr(recorded.p, "secret"));
	}
}

#define PLAIN64 "AGFsaWNlAHNlY3JldA=="
#define OK235   "> 235 2.7.0 Authentication succeeded\n"
#define NOT64   "> 501 5.5.2 That is not base64\n"

START_TEST(every_form_of_auth)
{
	masked("AUTH PLAIN " PLAIN64 "\r\n", "235",
	    "< AUTH PLAIN ***\n- auth PLAIN alice: ok\n" OK235);
	masked("auth plain   " PLAIN64 "\r\n", "235",
	    "< AUTH plain ***\n- auth PLAIN alice: ok\n" OK235);
	masked("AUTH LOGIN\r\n", "334", "< AUTH LOGIN\n> 334 ***\n");
	masked(
	    "AUTH LOGIN YWxpY2U=\r\n", "334", "< AUTH LOGIN ***\n> 334 ***\n");
	masked("AUTH PLAIN =\r\n", "501",
	    "< AUTH PLAIN ***\n- auth PLAIN : malformed, syntax\n"
	    "> 501 5.5.2 That is no message of this mechanism\n");
	masked("AUTH PLAIN secret!\r\n", "501",
	    "< AUTH PLAIN ***\n- auth PLAIN : malformed, base64\n" NOT64);
	masked("AUTH PLAIN " PLAIN64 " " PLAIN64 "\r\n", "501",
	    "< AUTH PLAIN ***\n"
	    "> 501 5.5.4 Syntax: AUTH mechanism [response]\n");
	masked("AUTH " PLAIN64 "\r\n", "504",
	    "< AUTH ***\n> 504 5.5.4 This mechanism is not offered\n");
	masked("AUTH CRAM-MD5 c2VjcmV0\r\n", "504",
	    "< AUTH CRAM-MD5 ***\n"
	    "> 504 5.5.4 This mechanism is not offered\n");
	masked(" AUTH PLAIN " PLAIN64 "\r\n", "500",
	    "< ***\n> 500 5.5.2 Command not recognized\n");
	masked("AUTH\r\n", "501",
	    "< AUTH\n> 501 5.5.4 Syntax: AUTH mechanism [response]\n");
}

END_TEST

/* In the lines that follow. */
START_TEST(the_exchange)
{
	static const char *const ends[] = { "*", "c2VjcmV0", "secret", "",
		"c2VjcmV0c2VjcmV0c2VjcmV0" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char line_[80];

		harness_connect(&h);
		TALK("EHLO c\r\n", "250");
		TALK("AUTH LOGIN\r\n", "334");
		TALK("YWxpY2U=\r\n", "334");
		LIVE("< AUTH LOGIN\n> 334 ***\n< ***\n> 334 ***\n");
		snprintf(line_, sizeof(line_), "%s\r\n", ends[i]);
		harness_say(&h, str_of(line_), 1);
		ck_assert_ptr_nonnull(strstr(live(),
		    "< AUTH LOGIN\n> 334 ***\n< ***\n> 334 ***\n< ***\n- "
		    "auth LOGIN alice: "));
		ck_assert_ptr_null(strstr(recorded.p, "c2Vj"));
		ck_assert_ptr_null(strstr(recorded.p, "secret"));
		harness_hang_up(&h);
	}
	/* One that breaks off in the middle of it. */
	harness_connect(&h);
	TALK("EHLO c\r\n", "250");
	TALK("AUTH PLAIN\r\n", "334");
	TALK("AGFsaWNlAHNlY3J", "");
	LIVE("< AUTH PLAIN\n> 334 \n");
	harness_hang_up(&h);
	ck_assert_str_eq(kept(), "");
}

END_TEST

/* Behind an AUTH that is over, or was refused: at once, and later. */
START_TEST(what_goes_astray)
{
	masked("AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\nQUIT\r\n",
	    "334 334 503 EOF", "");
	KEPT("< ***\n- auth LOGIN alice: malformed, pipelining\n"
	     "> 503 5.5.1 Nothing may be sent behind AUTH before its reply\n"
	     "- ended: pipelining\n");
	masked("AUTH NTLM\r\nc2VjcmV0\r\n", "504 EOF", "");
	harness_connect(&h);
	TALK("EHLO c\r\n", "250");
	TALK("AUTH NTLM\r\n", "504");
	TALK("c2VjcmV0\r\n", "500");
	TALK("secret\r\n", "500");
	LIVE("< AUTH NTLM\n> 504 5.5.4 This mechanism is not offered\n< ***\n"
	     "> 500 5.5.2 Command not recognized\n< ***\n"
	     "> 500 5.5.2 Command not recognized\n");
	/* And what comes behind a DATA that was refused. */
	TALK("DATA\r\n", "503");
	TALK("hidden\r\n", "500");
	LIVE("< ***\n> 500 5.5.2 Command not recognized\n");
	TALK("NOOP\r\n", "250");
	TALK("shown\r\n", "500");
	LIVE("< shown\n> 500 5.5.2 Command not recognized\n");
}

END_TEST

/* Lines of content may begin with a word of ours. */
static void
astray(void)
{
	TALK("Help me hidden\r\n", "214");
	TALK("hidden\r\n", "500");
	TALK("mail from: hidden\r\n", "501");
	TALK("quit hidden\r\n", "501");
	TALK("send hidden\r\n", "502");
	TALK("help\r\n", "214");
	TALK("\xfc hidden\r\n", "521 EOF");
	LIVE("");
	harness_hang_up(&h);
	ck_assert_ptr_null(strstr(kept(), "hidden"));
	ck_assert_ptr_nonnull(strstr(recorded.p, "< HELP ***\n"));
	ck_assert_ptr_nonnull(strstr(recorded.p, "\n< ***\n"));
	ck_assert_ptr_nonnull(strstr(recorded.p, "< MAIL ***\n"));
	ck_assert_ptr_nonnull(strstr(recorded.p, "< QUIT ***\n"));
	ck_assert_ptr_nonnull(strstr(recorded.p, "< SEND ***\n"));
	ck_assert_ptr_nonnull(strstr(recorded.p, "< HELP\n"));
}

START_TEST(content_that_goes_astray)
{
	/* Refused. */
	begin();
	TALK("DATA\r\n", "503");
	astray();
	/* Behind a dot that stood in the content. */
	begin_data();
	TALK("hidden\r\n.\r\n", "250");
	astray();
	/* Behind a count that was too small. */
	begin();
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	TALK("RCPT TO:<x@y.example>\r\n", "250");
	TALK("BDAT 6 LAST\r\nhidden", "250");
	astray();
	/* Until a command. */
	begin();
	TALK("DATA\r\n", "503");
	TALK("Help hidden\r\n", "214");
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	TALK("shown\r\n", "500");
	LIVE("< MAIL FROM:<a@b.example>\n> 250 2.1.0 Ok\n"
	     "< shown\n> 500 5.5.2 Command not recognized\n");
}

END_TEST

/* What somebody believed in who did not look at the reply, and what is for
 * another protocol or was mistyped. */
START_TEST(passwords_that_go_astray)
{
	static const char *const lines[] = { "PASS secret\r\n",
		"a1 login alice secret\r\n", "AUHT PLAIN " PLAIN64 "\r\n",
		"Proxy-Authorization: Basic " PLAIN64 "\r\n",
		"AUT\bTH\x7f\b\b" PLAIN64 " auth\r\n" };

	harness_connect(&h);
	TALK("EHLO c\r\n", "250");
	TALK("AUTH PLAIN " PLAIN64 "\r\n", "235");
	TALK(PLAIN64 "\r\n", "500");
	LIVE(OK235 "< ***\n> 500 5.5.2 Command not recognized\n");
	harness_hang_up(&h);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		harness_connect(&h);
		TALK("USER alice\r\n", "500");
		TALK(lines[i], "500");
		TALK("secret\r\n", "500");
		LIVE("< USER alice\n> 500 5.5.2 Command not recognized\n"
		     "< ***\n> 500 5.5.2 Command not recognized\n"
		     "< ***\n> 500 5.5.2 Command not recognized\n");
		harness_hang_up(&h);
	}
	masked("AUTH PLAIN YWxpY2UAc2VjcmV0AA==\r\n", "501",
	    "< AUTH PLAIN ***\n- auth PLAIN : malformed, syntax\n"
	    "> 501 5.5.2 That is no message of this mechanism\n");
}

END_TEST

/* --- which are kept --- */

static void
ends(const char *said, const char *codes, const char *want)
{
	begin();
	live();
	talk_bytes(str_of(said), codes, __LINE__);
	harness_hang_up(&h);
	KEPT(want);
}

START_TEST(ends_of_all_kinds)
{
	ends("QUIT\r\n", "221 EOF", "");
	ck_assert_str_eq(kept(), "");
	ends("MAIL FROM:<a@b.example>\r\nRSET\r\n", "250 250", "");
	ck_assert_str_eq(kept(), "");
	ends("MAIL FROM:<a@b.example>\r\n", "250", "- ended: lost\n");
	ends("BANANA\r\nQUIT\r\n", "500 221 EOF", "- ended: quit\n");
	ends("NOOP\n", "500 EOF",
	    "< NOOP\n> 500 5.5.2 Lines end with CR LF and hold no other CR, "
	    "LF or NUL\n- ended: bare-newline\n");
	ends("GET / HTTP/1.0\r\n", "521 EOF",
	    "> 521 5.5.1 This is an SMTP server\n- ended: not-smtp\n");
	h.fake.answer = FAKE_REFUSE;
	ends("MAIL FROM:<a@b.example>\r\nRCPT TO:<x@y.example>\r\nDATA\r\n",
	    "250 250 354",
	    "> 354 End data with <CR><LF>.<CR><LF>\n- content 0 bytes, not the "
	    "whole\n- ended: lost\n");
	harness_connect_to(&h, 0, "EHLO too-early\r\n");
	live();
	harness_replies(&h, 1);
	harness_hang_up(&h);
	KEPT("- it talks before the greeting\n"
	     "> 554 5.5.1 The server speaks first\n- ended: early-talker\n");
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { a_dialogue, chunks, long_waits,
		the_oldest_go, of_all_together, the_oldest_that_failed_go,
		odd_lines, long_lines, long_lines_of_bytes, every_form_of_auth,
		the_exchange, what_goes_astray, content_that_goes_astray,
		passwords_that_go_astray, ends_of_all_kinds };

	return run_tests_in("recorder", tests, sizeof(tests) / sizeof(tests[0]),
	    recorder_setup, recorder_teardown);
}
