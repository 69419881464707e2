/* Sessions with filters: what filters hear, and what clients and the queue
 * hear of them. */
#include "tests/unit/smtpd/fake_filter.h"

static struct fake_filter *f;

/* One filter on the listener. */
static void
one_filter(void)
{
	f = filter_new("a");
	h.config->listeners[0].milters = filter_set("a");
	filters_start();
}

static void
to_data(void)
{
	begin();
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	TALK("RCPT TO:<x@y.example>\r\n", "250");
	TALK("DATA\r\n", "354");
}

static void
whole_mail(const char *want)
{
	to_data();
	TALK("Subject: hi\r\n\r\nbody\r\n.\r\n", want);
}

static const char *
content(void)
{
	buf_add_char(&h.fake.content, '\0');
	return h.fake.content.p;
}

static const char *
macros(void)
{
	buf_add_char(&f->macros, '\0');
	f->macros.len--;
	return f->macros.p;
}

/* --- the way of a mail --- */

START_TEST(passes)
{
	one_filter();
	begin();
	TALK("MAIL FROM:<A@B.Example> SIZE=10 BODY=8BITMIME\r\n", "250");
	TALK("RCPT TO:<X@Y.EXAMPLE>\r\n", "250");
	TALK("DATA\r\n", "354");
	TALK(
	    "Subject: hi\r\nMessage-ID:\r\n <1@b>\r\n\r\nbody\r\n.\r\n", "250");
	ck_assert_uint_eq(h.fake.ncommits, 1);
	ck_assert_str_eq(h.fake.starts, "0");
	ck_assert_uint_eq(h.fake.context_len, 0);
	ck_assert_str_eq(filter_heard(f),
	    "C Hclient.example M<A@B.Example> R<X@Y.EXAMPLE> T L L N B E ");
	ck_assert_int_eq((int)f->body.len, 6);
	ck_assert(str_eq(
	    buf_str(&f->header), STR("Subject:hi\nMessage-ID:\n <1@b>\n")));
	ck_assert_ptr_nonnull(strstr(content(), "Received: from client"));
	ck_assert_ptr_nonnull(strstr(content(),
	    "\r\nSubject: hi\r\nMessage-ID:\r\n <1@b>\r\n\r\nbody\r\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "j=mx.example\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "_=unknown [192.0.2.1]\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{client_name}=[192.0.2.1]\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{client_port}=4242\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{daemon_port}=25\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{mail_addr}=A@b.example\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{mail_host}=b.example\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{rcpt_addr}=X@y.example\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{rcpt_mailer}=discard\n"));
	ck_assert_ptr_nonnull(strstr(macros(), h.fake.msgid));
	TALK("QUIT\r\n", "221 EOF");
	harness_settle(&h);
	ck_assert_str_eq(filter_heard(f), "Q ");
}

END_TEST

/* Each mail of a session anew, on the same connection. */
START_TEST(two_mails)
{
	one_filter();
	whole_mail("250");
	filter_heard(f);
	TALK("MAIL FROM:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n", "250 250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(filter_heard(f), "M<c@d> R<e@f> T N B E ");
	ck_assert_uint_eq(h.fake.ncommits, 2);
	ck_assert_uint_eq(f->nconns, 1);
}

END_TEST

START_TEST(aborts)
{
	one_filter();
	begin();
	filter_heard(f);
	TALK("RSET\r\n", "250");
	ck_assert_str_eq(filter_heard(f), "");
	TALK("MAIL FROM:<a@b>\r\nRSET\r\n", "250 250");
	harness_settle(&h);
	ck_assert_str_eq(filter_heard(f), "M<a@b> A ");
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nEHLO again\r\n",
	    "250 250 250");
	ck_assert_str_eq(filter_heard(f), "M<a@b> R<c@d> A Hagain ");
	TALK("MAIL FROM:<a@b>\r\n", "250");
	harness_hang_up(&h);
	ck_assert_ptr_nonnull(strstr(filter_heard(f), "Q "));
}

END_TEST

/* --- refusals --- */

static unsigned int nstopped;

static void
stopped(void)
{
	nstopped++;
}

static bool
data_waits(struct harness *unused)
{
	(void)unused;
	return filter_waits(f, 'T');
}

START_TEST(greeting_waits)
{
	one_filter();
	f->hold['C'] = true;
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	ck_assert_uint_eq(h.got.len, 0);
	ck_assert_str_eq(filter_heard(f), "C ");
	filter_release(f);
	harness_replies(&h, 1);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("220 mx.example ")));
	TALK("NOOP\r\n", "250");
}

END_TEST

START_TEST(early_talker)
{
	one_filter();
	f->hold['C'] = true;
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	stream_write(h.client, "EHLO x\r\n", 8);
	harness_settle(&h);
	ck_assert_uint_eq(h.got.len, 0);
	SAYS(f, 'C', 'r', "");
	filter_forget(f, 'C');
	filter_release(f);
	harness_replies(&h, 100);
	ck_assert(str_starts_nocase(buf_str(&h.got), STR("554 5.5.1 ")));
	ck_assert(h.eof);
}

END_TEST

START_TEST(connect_refused)
{
	one_filter();
	SAYS(f, 'C', 'y', "550-5.7.1 first\r\n550 5.7.1 second");
	harness_connect(&h);
	buf_add_char(&h.got, '\0');
	ck_assert_str_eq(h.got.p, "554 5.7.1 mx.example first\r\n");
	TALK("EHLO x\r\n", "250");
	TALK("MAIL FROM:<a@b>\r\n", "550");
	ck_assert_str_eq(h.got.p, "550-5.7.1 first\r\n550 5.7.1 second\r\n");
	TALK("VRFY <a@b>\r\n", "550");
	TALK("BANANA\r\nRSET\r\nQUIT\r\n", "500 250 221 EOF");
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

START_TEST(connect_tempfailed)
{
	one_filter();
	filter_says(f, 'C', 't', STR(""));
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "451");
	TALK("MAIL FROM:<a@b>\r\n", "451");
}

END_TEST

START_TEST(connect_shut)
{
	one_filter();
	SAYS(f, 'C', 'y', "421 4.7.1 Not today");
	harness_connect_to(&h, 0, NULL);
	harness_replies(&h, 100);
	ck_assert(
	    str_starts_nocase(buf_str(&h.got), STR("421 4.7.1 Not today\r\n")));
	ck_assert(h.eof);
}

END_TEST

START_TEST(helo_refused)
{
	one_filter();
	SAYS(f, 'H', 'y', "550 5.7.1 No such name");
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "550");
	ck_assert_ptr_nonnull(strstr(h.got.p, "No such name"));
	TALK("QUIT\r\n", "221 EOF");
}

END_TEST

START_TEST(mail_refused)
{
	one_filter();
	filter_says(f, 'M', 'r', STR(""));
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "550 503");
	filter_forget(f, 'M');
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	ck_assert_uint_eq(admission()->now, 1);
	TALK("RSET\r\n", "250");
	ck_assert_uint_eq(admission()->now, 0);
}

END_TEST

START_TEST(rcpt_refused_alone)
{
	one_filter();
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	SAYS(f, 'R', 'y', "450 4.2.2 Full");
	TALK("RCPT TO:<e@f>\r\n", "450");
	filter_forget(f, 'R');
	TALK("DATA\r\n", "354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.to, "c@d");
}

END_TEST

START_TEST(data_refused)
{
	one_filter();
	filter_says(f, 'T', 't', STR(""));
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	TALK("DATA\r\n", "451");
	/* The message was refused, not the command alone. */
	TALK("RCPT TO:<c@d>\r\n", "503");
	filter_forget(f, 'T');
	TALK("MAIL FROM:<a@b>\r\n", "250");
}

END_TEST

START_TEST(data_refused_with_content_behind)
{
	one_filter();
	filter_says(f, 'T', 'r', STR(""));
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	TALK("DATA\r\nQUIT\r\n.\r\n", "550 EOF");
}

END_TEST

/* What came while a filter thought of DATA was content, too; it is content
 * only if there is a 354. */
START_TEST(content_while_data_waits)
{
	static const char behind[] = "RSET\r\nMAIL FROM:<e@f>\r\n"
				     "RCPT TO:<g@h>\r\nDATA\r\nX: y\r\n.\r\n";

	one_filter();
	f->hold['T'] = true;
	for (int refused = 0; refused < 2; refused++) {
		begin();
		TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
		harness_say(&h, STR("DATA\r\n"), 0);
		harness_until(&h, data_waits);
		harness_say(&h, str_of(behind), 0);
		harness_settle(&h);
		if (refused)
			filter_says(f, 'T', 'r', STR(""));
		filter_release(f);
		TALK("", refused ? "550 EOF" : "354 250");
		harness_hang_up(&h);
	}
	ck_assert_uint_eq(h.fake.ncommits, 1);
	ck_assert_str_eq(h.fake.from, "a@b");
	ck_assert_ptr_nonnull(strstr(content(), "MAIL FROM:<e@f>\r\n"));
}

END_TEST

/* Nobody waits for filters longer than the gateway itself may. */
START_TEST(stopped_while_they_wait)
{
	static const char commands[] = "CHMRTE";
	static const char *const said[] = { "", "EHLO x.example\r\n",
		"MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n",
		"A: b\r\n\r\nx\r\n.\r\n" };

	one_filter();
	for (size_t at = 0; commands[at] != '\0'; at++) {
		unsigned char c = (unsigned char)commands[at];

		f->hold[c] = true;
		harness_connect_to(&h, 0, NULL);
		if (at > 0)
			harness_replies(&h, 1);
		for (size_t i = 1; i < at; i++)
			harness_say(&h, str_of(said[i]), 1);
		harness_say(&h, str_of(said[at]), 0);
		harness_settle(&h);
		ck_assert(filter_waits(f, (char)c));
		sessions_stop(stopped);
		harness_settle(&h);
		ck_assert_uint_eq(sessions_count(), 1);
		sessions_abandon();
		TALK("", "421 EOF");
		harness_settle(&h);
		ck_assert_uint_eq(sessions_count(), 0);
		ck_assert_uint_eq(admission()->now, 0);
		sessions_restart();
		filter_release(f);
		f->hold[c] = false;
		harness_hang_up(&h);
	}
	ck_assert_uint_eq(nstopped, 6);
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

START_TEST(unknown_command)
{
	one_filter();
	begin();
	filter_heard(f);
	SAYS(f, 'U', 'y', "450 4.7.1 What?");
	TALK("BANANA split\r\n", "450");
	ck_assert_str_eq(filter_heard(f), "UBANANA split ");
	filter_forget(f, 'U');
	TALK("BANANA split\r\nNOOP x\r\nSTARTTLS\r\n", "500 250 502");
	ck_assert_str_eq(filter_heard(f), "UBANANA split ");
	TALK("MAIL FROM:<a@b>\r\nBANANA\r\n", "250 500");
	ck_assert_ptr_null(strstr(filter_heard(f), "U"));
}

END_TEST

/* Refused by ourselves: told to those that want to know, obeyed in no case. */
START_TEST(refused_are_told)
{
	one_filter();
	f->steps = 0x800; /* RCPT_REJ */
	h.config->nrules = 0;
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<>\r\n",
	    "250 550 501");
	harness_settle(&h);
	ck_assert_str_eq(filter_heard(f), "C Hclient.example M<a@b> R<c@d> ");
	ck_assert_ptr_nonnull(strstr(macros(), "{rcpt_mailer}=error\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{rcpt_host}=5.7.1\n"));
	ck_assert_ptr_nonnull(
	    strstr(macros(), "{rcpt_addr}=Relaying denied\n"));
	h.config->nrules = 1;
	TALK("RCPT TO:<c@d>\r\n", "250");
}

END_TEST

START_TEST(filter_fails)
{
	one_filter();
	f->refuse = true;
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "451");
	f->refuse = false;
	TALK("MAIL FROM:<a@b>\r\n", "250");
	ck_assert_str_eq(filter_heard(f), "C Hclient.example M<a@b> ");
}

END_TEST

/* --- verdicts on content --- */

START_TEST(content_refused)
{
	one_filter();
	SAYS(f, 'E', 'y', "550-5.7.1 one\r\n550 5.7.1 two");
	whole_mail("550");
	ck_assert_str_eq(h.got.p, "550-5.7.1 one\r\n550 5.7.1 two\r\n");
	ck_assert_uint_eq(h.fake.ncommits, 0);
	filter_forget(f, 'E');
	filter_says(f, 'L', 't', STR(""));
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", "250 250 354");
	TALK("A: b\r\n\r\nx\r\n.\r\n", "451");
	ck_assert_uint_eq(admission()->now, 0);
}

END_TEST

START_TEST(content_shut)
{
	one_filter();
	SAYS(f, 'B', 'y', "421 4.7.1 Enough");
	whole_mail("421 EOF");
}

END_TEST

/* However many recipients there are, the trace has what became of it. */
START_TEST(last_words_are_kept)
{
	one_filter();
	filter_says(f, 'E', 'h', STR("X-Last\0bottom\0"));
	filter_says(f, 'E', 'c', STR(""));
	begin();
	TALK("MAIL FROM:<a@b.example>\r\n", "250");
	filter_says(f, 'R', 't', STR(""));
	for (int i = 0; i < 300; i++)
		harness_say(&h, STR("RCPT TO:<x@y.example>\r\n"), 1);
	filter_forget(f, 'R');
	TALK("RCPT TO:<x@y.example>\r\n", "250");
	TALK("DATA\r\n", "354");
	TALK("A: b\r\n\r\nx\r\n.\r\n", "250");
	ck_assert_ptr_nonnull(strstr(h.fake.events, "stage=rcpt"));
	ck_assert_ptr_nonnull(strstr(h.fake.events, "stage=content"));
}

END_TEST

START_TEST(discarded)
{
	one_filter();
	filter_says(f, 'R', 'd', STR(""));
	whole_mail("250");
	ck_assert_ptr_nonnull(strstr(h.got.p, "250 2.0.0 Ok: queued as "));
	ck_assert_uint_eq(h.fake.ncommits, 0);
	ck_assert_ptr_null(strstr(filter_heard(f), "E "));
}

END_TEST

START_TEST(quarantined)
{
	one_filter();
	SAYS(f, 'E', 'q', "looks odd");
	filter_says(f, 'E', 'c', STR(""));
	whole_mail("250");
	ck_assert_uint_eq(h.fake.ncommits, 1);
	ck_assert_str_eq(h.fake.starts, "1");
	ck_assert_str_eq(h.fake.filter, "a");
	ck_assert_str_eq(h.fake.reason, "looks odd");
	ck_assert_uint_gt(h.fake.context_len, 0);
	ck_assert_ptr_nonnull(strstr(h.fake.events, "milter name=a "));
	ck_assert_ptr_nonnull(strstr(h.fake.events, "verdict=quarantine"));
}

END_TEST

START_TEST(quarantined_by_rule)
{
	h.config->rules[0].verdict = VERDICT_QUARANTINE;
	h.config->rules[0].line = 7;
	whole_mail("250");
	ck_assert_str_eq(h.fake.starts, "1");
	ck_assert_str_eq(h.fake.filter, "rules");
	ck_assert_str_eq(h.fake.reason, "set aside by the rule in line 7");
	ck_assert_uint_gt(h.fake.context_len, 0);
}

END_TEST

START_TEST(after_queue)
{
	f = filter_new("a");
	h.config->milters[0].after_queue = true;
	h.config->listeners[0].milters = filter_set("a");
	filters_start();
	names_start(&h, CLIENT_NAME_CONFIRMED, "client.example");
	names.hold = true; /* nobody waits for it */
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	ck_assert_uint_gt(h.got.len, 0);
	harness_hang_up(&h);
	to_data();
	TALK("A: 1\r\nAuthentication-Results: mx.example; spf=pass\r\n\r\n"
	     "body\r\n.\r\n",
	    "250");
	ck_assert_str_eq(h.fake.starts, "2");
	ck_assert_uint_gt(h.fake.context_len, 0);
	ck_assert_uint_eq(f->nconns, 0);
	/* Filters will read it. */
	ck_assert_ptr_null(strstr(content(), "spf=pass"));
	names_stop(&h);
}

END_TEST

START_TEST(forged_results_go)
{
	one_filter();
	to_data();
	TALK("Authentication-Results: mx.example; spf=pass\r\n"
	     "A: 1\r\n"
	     "authentication-results: (x)\r\n \"MX.example\" 1; dkim=pass\r\n"
	     "Authentication-Results: other.example; spf=pass\r\n"
	     "B: 2\r\n\r\nbody\r\n.\r\n",
	    "250");
	ck_assert(str_eq(buf_str(&f->header),
	    STR("A:1\nAuthentication-Results:other.example; spf=pass\nB:2\n")));
	ck_assert_ptr_nonnull(strstr(content(),
	    "\r\nA: 1\r\nAuthentication-Results: other.example; "
	    "spf=pass\r\nB: 2\r\n\r\nbody\r\n"));
}

END_TEST

/* By none of the names that we have. */
START_TEST(forged_by_each_name)
{
	one_filter();
	h.config->listeners[0].hostname = xstrdup("edge.example");
	to_data();
	TALK("Authentication-Results: mx.example; spf=pass\r\n"
	     "A: 1\r\n"
	     "Authentication-Results: edge.example; spf=pass\r\n\r\n"
	     "body\r\n.\r\n",
	    "250");
	ck_assert(str_eq(buf_str(&f->header), STR("A:1\n")));
}

END_TEST

/* --- edits --- */

START_TEST(header_edited)
{
	one_filter();
	filter_says(f, 'E', 'h', STR("X-Last\0bottom\0"));
	filter_says(f, 'E', 'i', STR("\0\0\0\1X-First\0below ours\0"));
	filter_says(f, 'E', 'm', STR("\0\0\0\1subject\0ho\0"));
	filter_says(f, 'E', 'c', STR(""));
	whole_mail("250");
	ck_assert_ptr_nonnull(strstr(content(),
	    "\r\nX-First: below ours\r\nsubject: ho\r\nX-Last: bottom\r\n"
	    "\r\nbody\r\n"));
	ck_assert_uint_eq(
	    h.fake.header_size + h.fake.body_size, h.fake.inline_size);
	ck_assert_uint_eq(h.fake.body_size, 6);
	ck_assert_ptr_nonnull(strstr(h.fake.events, "edits="));
}

END_TEST

START_TEST(body_replaced)
{
	one_filter();
	filter_says(f, 'E', 'b', STR("new "));
	filter_says(f, 'E', 'b',
	    STR("b\xc3\xb6"
		"dy\r\n"));
	filter_says(f, 'E', 'c', STR(""));
	whole_mail("250");
	ck_assert_uint_eq(h.fake.body_size, 11);
	ck_assert_uint_eq(h.fake.flags & ENVELOPE_8BIT, ENVELOPE_8BIT);
	ck_assert_ptr_nonnull(
	    strstr(content(), "\r\nSubject: hi\r\n\r\nnew b\xc3\xb6"
			      "dy\r\n"));
}

END_TEST

enum { CHUNK = 60000, CHUNKS = 10 };

static void
large_body(void)
{
	static char chunk[CHUNK];

	for (size_t i = 0; i < sizeof(chunk); i++)
		chunk[i] = "line of text\r\n"[i % 14];
	for (int i = 0; i < CHUNKS; i++)
		filter_says(f, 'E', 'b', (struct str){ chunk, CHUNK - 8 });
	filter_says(f, 'E', 'c', STR(""));
}

START_TEST(large_body_replaced)
{
	one_filter();
	large_body();
	whole_mail("250");
	ck_assert_uint_ge(h.fake.body_size, CHUNKS * (CHUNK - 8));
	ck_assert_uint_eq(h.fake.bodyfile, 1);
	ck_assert_uint_eq(h.fake.inline_size, h.fake.header_size);
	ck_assert_uint_eq(
	    h.fake.content.len, h.fake.header_size + h.fake.body_size);
}

END_TEST

START_TEST(no_room_for_new_body)
{
	one_filter();
	large_body();
	h.fake.file = FAKE_REFUSE;
	h.fake.why = REFUSED_SPACE;
	to_data();
	harness_say(&h, STR("x\r\n.\r\n"), 1);
	ck_assert_int_eq(h.got.p[0], '4');
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

/* What came in a file is shown from it, and replaced by what is none. */
START_TEST(large_body_shown)
{
	static char line[] = "a line of sixty four bytes, with its end, "
			     "for the test's file\r\n";
	const size_t n = 6000, len = sizeof(line) - 1;

	one_filter();
	filter_says(f, 'E', 'b', STR("small\r\n"));
	filter_says(f, 'E', 'c', STR(""));
	to_data();
	harness_say(&h, STR("A: b\r\n\r\n"), 0);
	for (size_t i = 0; i < n; i++)
		stream_write(h.client, line, len);
	TALK(".\r\n", "250");
	ck_assert_uint_eq(f->body.len, n * len);
	ck_assert_uint_eq(h.fake.nfiles, 1);
	ck_assert_uint_eq(h.fake.ndropped, 1);
	ck_assert_uint_eq(h.fake.bodyfile, 0);
	ck_assert_uint_eq(h.fake.body_size, 7);
	ck_assert_ptr_nonnull(strstr(content(), "\r\nA: b\r\n\r\nsmall\r\n"));
}

END_TEST

START_TEST(envelope_edited)
{
	one_filter();
	filter_says(f, 'E', 'e', STR("<Other@B.Example>\0"));
	filter_says(f, 'E', '-', STR("<X@y.EXAMPLE>\0"));
	filter_says(f, 'E', '+', STR("<new@z.example>\0"));
	filter_says(f, 'E', '+', STR("new@Z.example\0"));
	filter_says(f, 'E', '+', STR("<u@v>\0"));
	filter_says(f, 'E', '-', STR("<nobody@here>\0"));
	filter_says(f, 'E', 'c', STR(""));
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<X@Y.Example>\r\nRCPT TO:<u@v>\r\n"
	     "DATA\r\n",
	    "250 250 250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.from, "Other@b.example");
	ck_assert_str_eq(h.fake.to, "u@v new@z.example");
}

END_TEST

START_TEST(deleted_and_added_again)
{
	one_filter();
	filter_says(f, 'E', '-', STR("<x@y.example>\0"));
	filter_says(f, 'E', '+', STR("<x@y.example>\0"));
	filter_says(f, 'E', 'c', STR(""));
	whole_mail("250");
	ck_assert_str_eq(h.fake.to, "x@y.example");
}

END_TEST

START_TEST(nobody_left)
{
	one_filter();
	filter_says(f, 'E', '-', STR("<x@y.example>\0"));
	filter_says(f, 'E', 'c', STR(""));
	whole_mail("250");
	ck_assert_uint_eq(h.fake.ncommits, 0);
}

END_TEST

/* The rules have a word in it. */
START_TEST(added_against_the_rules)
{
	struct rule *r;

	one_filter();
	filter_says(f, 'E', '+', STR("<new@z.example>\0"));
	filter_says(f, 'E', 'c', STR(""));
	to_data();
	r = &h.config->rules[0];
	r->verdict = VERDICT_REJECT;
	r->action = NULL;
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.to, "x@y.example");
}

END_TEST

/* --- which filters --- */

/* a on the listener; for recipients at z.example: b; at none.example: none. */
static struct fake_filter *
two_sets(void)
{
	struct fake_filter *b;
	struct rule *r;

	f = filter_new("a");
	b = filter_new("b");
	h.config->listeners[0].milters = filter_set("a");
	harness_rule(h.config, VERDICT_ACTION, NULL);
	r = h.config->rules;
	r[0].conds = xcalloc(1, sizeof(*r[0].conds));
	r[0].nconds = 1;
	r[0].conds[0].kind = COND_MAIL_FROM;
	r[0].milters = filter_set("b");
	filters_start();
	return b;
}

/* Which rule is first, by an odd sender: tables need files. */
static void
use_set(const struct milter_set *set)
{
	h.config->rules[0].nconds = 0;
	h.config->rules[0].milters = set;
}

START_TEST(set_of_recipient)
{
	struct fake_filter *b = two_sets();

	use_set(&h.config->milter_sets[1]);
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "250");
	filter_heard(f);
	TALK("RCPT TO:<c@d>\r\n", "250");
	harness_settle(&h);
	ck_assert_str_eq(filter_heard(f), "A ");
	ck_assert_str_eq(filter_heard(b), "C Hclient.example M<a@b> R<c@d> ");
	use_set(NULL);
	TALK("RCPT TO:<e@f>\r\n", "452");
	ck_assert_ptr_nonnull(strstr(h.got.p, "452 4.5.3 "));
	TALK("DATA\r\n", "354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.to, "c@d");
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<e@f>\r\n", "250 250");
	ck_assert_str_eq(filter_heard(f), "M<a@b> R<e@f> ");
}

END_TEST

/* Whom nobody took decided nothing. */
START_TEST(choice_is_forgotten)
{
	struct fake_filter *b = two_sets();

	use_set(&h.config->milter_sets[1]);
	filter_says(b, 'R', 'r', STR(""));
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 550");
	use_set(NULL);
	TALK("RCPT TO:<e@f>\r\nDATA\r\n", "250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.to, "e@f");
	ck_assert_ptr_nonnull(strstr(filter_heard(f), "E "));
}

END_TEST

/* Only by rule: nothing is made before it is needed, all is told then. */
START_TEST(set_without_listener)
{
	struct fake_filter *b = two_sets();

	h.config->listeners[0].milters = NULL;
	use_set(&h.config->milter_sets[1]);
	begin();
	TALK("MAIL FROM:<a@b> SIZE=5\r\n", "250");
	ck_assert_uint_eq(fakes.nconns, 0);
	TALK("RCPT TO:<c@d>\r\nDATA\r\n", "250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(
	    filter_heard(b), "C Hclient.example M<a@b> R<c@d> T N B E ");
	ck_assert_uint_eq(f->nconns, 0);
}

END_TEST

START_TEST(excepted)
{
	struct fake_filter *b = two_sets();

	h.config->listeners[0].flags |= LISTENER_NO_MILTERS;
	use_set(&h.config->milter_sets[1]);
	whole_mail("250");
	ck_assert_uint_eq(b->nconns + f->nconns, 0);
	ck_assert_str_eq(h.fake.starts, "0");
}

END_TEST

/* --- waiting, and its end --- */

START_TEST(name_is_waited_for)
{
	one_filter();
	names_start(&h, CLIENT_NAME_CONFIRMED, "client.example");
	names.hold = true;
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	ck_assert_uint_eq(h.got.len, 0);
	ck_assert_uint_eq(f->nconns, 0);
	names_answer(0, CLIENT_NAME_CONFIRMED, "client.example");
	harness_replies(&h, 1);
	ck_assert_ptr_nonnull(
	    strstr(macros(), "_=client.example [192.0.2.1]\n"));
	ck_assert_ptr_nonnull(strstr(macros(), "{client_resolve}=OK\n"));
	names_stop(&h);
}

END_TEST

static bool
nobody_there(struct harness *unused)
{
	(void)unused;
	return sessions_count() == 0;
}

/* The client goes while a filter thinks. It may have ended its side only, so
 * its reply is waited for, and a mail that is whole is taken. */
START_TEST(client_goes)
{
	static const char *const said[][2] = {
		{ "C", "" },
		{ "H", "EHLO client.example\r\n" },
		{ "U", "BANANA\r\n" },
		{ "M", "MAIL FROM:<a@b>\r\n" },
		{ "R", "RCPT TO:<c@d>\r\n" },
		{ "T", "DATA\r\n" },
		{ "E", "A: b\r\n\r\nx\r\n.\r\n" },
	};
	const size_t n = sizeof(said) / sizeof(said[0]);

	one_filter();
	h.config->limits.errors = 1000;
	for (size_t at = 0; at < n; at++) {
		unsigned char c = (unsigned char)said[at][0][0];

		f->hold[c] = at > 0;
		harness_connect(&h);
		for (size_t i = 1; i < at; i++)
			harness_say(&h, str_of(said[i][1]), 1);
		harness_say(&h, str_of(said[at][1]), 0);
		ck_assert(at == 0 || filter_waits(f, (char)c));
		harness_hang_up(&h);
		filter_release(f);
		harness_until(&h, nobody_there);
		f->hold[c] = false;
		ck_assert_uint_eq(admission()->now, 0);
	}
	ck_assert_uint_eq(h.fake.ncommits, 1);
}

END_TEST

static void
large_mail(void)
{
	static const char line[] = "a line of sixty four bytes, with its end, "
				   "for the test's file\r\n";

	to_data();
	harness_say(&h, STR("A: b\r\n\r\n"), 0);
	for (size_t i = 0; i < 6000; i++)
		stream_write(h.client, line, sizeof(line) - 1);
	harness_say(&h, STR(".\r\n"), 0);
}

static bool
content_waits(struct harness *unused)
{
	(void)unused;
	return filter_waits(f, 'E');
}

/* Another queue comes while filters look at a body in a file of the one
 * before: that file's number means nothing to it, or another file. */
START_TEST(queue_is_another)
{
	one_filter();
	f->hold['E'] = true;
	large_mail();
	harness_until(&h, content_waits);
	channel_free(&h.fake.ch);
	harness_settle(&h);
	fake_start(&h);
	filter_release(f);
	harness_replies(&h, 1);
	ck_assert_int_eq(h.got.p[0], '4');
	ck_assert_uint_eq(h.fake.ncommits, 0);
	/* A mail in memory is the new queue's. */
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", "250 250 354");
	harness_say(&h, STR("x\r\n.\r\n"), 0);
	harness_until(&h, content_waits);
	channel_free(&h.fake.ch);
	harness_settle(&h);
	fake_start(&h);
	filter_release(f);
	harness_replies(&h, 1);
	ck_assert_int_eq(h.got.p[0], '2');
	ck_assert_uint_eq(h.fake.ncommits, 1);
}

END_TEST

/* The queue goes while filters have a body that is in its file. */
START_TEST(queue_goes)
{
	one_filter();
	large_body();
	to_data();
	f->hold['E'] = true;
	harness_say(&h, STR("x\r\n.\r\n"), 0);
	filter_release(f);
	channel_free(&h.fake.ch);
	harness_replies(&h, 1);
	ck_assert_int_eq(h.got.p[0], '4');
}

END_TEST

START_TEST(pipelined)
{
	one_filter();
	begin();
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nNOOP\r\n"
	     "DATA\r\n",
	    "250 250 250 250 354");
	TALK("x\r\n.\r\nMAIL FROM:<g@h>\r\nQUIT\r\n", "250 250 221 EOF");
	ck_assert_uint_eq(h.fake.ncommits, 1);
}

END_TEST

START_TEST(too_many_messages)
{
	struct stream *first;

	h.config->limits.filtering = 1;
	one_filter();
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "250");
	first = h.client;
	begin();
	TALK("MAIL FROM:<a@b>\r\n", "451");
	ck_assert_ptr_nonnull(strstr(h.got.p, "451 4.3.2 Too busy"));
	/* Mail came from there before: the reserve. */
	struct addr known;
	addr_parse(STR("192.0.2.1"), &known);
	admission_remember(&known);
	TALK("MAIL FROM:<a@b>\r\n", "250");
	stream_close(&first);
	harness_settle(&h);
	TALK("RSET\r\n", "250");
	ck_assert_uint_eq(admission()->now, 0);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { passes, two_mails, aborts,
		greeting_waits, early_talker, connect_refused,
		connect_tempfailed, connect_shut, helo_refused, mail_refused,
		rcpt_refused_alone, data_refused,
		data_refused_with_content_behind, content_while_data_waits,
		stopped_while_they_wait, unknown_command, refused_are_told,
		filter_fails, content_refused, content_shut,
		last_words_are_kept, discarded, quarantined,
		quarantined_by_rule, after_queue, forged_results_go,
		forged_by_each_name, header_edited, body_replaced,
		large_body_replaced, no_room_for_new_body, large_body_shown,
		envelope_edited, deleted_and_added_again, nobody_left,
		added_against_the_rules, set_of_recipient, choice_is_forgotten,
		set_without_listener, excepted, name_is_waited_for, client_goes,
		queue_is_another, queue_goes, pipelined, too_many_messages };

	return run_tests_in("filtering", tests,
	    sizeof(tests) / sizeof(tests[0]), filters_setup, filters_teardown);
}
