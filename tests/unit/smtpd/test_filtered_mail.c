/* What filters make of a mail: verdicts on its content, edits. */
#include "tests/unit/smtpd/one_filter.h"

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

static void
to_rcpt(void)
{
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
	filter_heard(f);
}

/* By BDAT they are asked and heard as by DATA, and what they refuse is over:
 * the next mail is nothing but the next. */
START_TEST(by_chunks)
{
	one_filter();
	begin();
	to_rcpt();
	TALK("BDAT 6\r\nA: b\r\nBDAT 5\r\n\r\nx\r\nBDAT 0 LAST\r\n",
	    "250 250 250");
	ck_assert_str_eq(filter_heard(f), "T L N B E ");
	/* They refuse the first chunk, which goes by. */
	filter_says(f, 'T', 'r', STR(""));
	to_rcpt();
	TALK("BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nRCPT TO:<c@d>\r\n",
	    "550 503 503");
	filter_forget(f, 'T');
	/* The whole. */
	filter_says(f, 'E', 't', STR(""));
	to_rcpt();
	TALK("BDAT 8 LAST\r\nA: b\r\n\r\nRCPT TO:<c@d>\r\nDATA\r\n",
	    "451 503 503");
	filter_forget(f, 'E');
	/* Or accept it unseen: this one, and no other. */
	filter_says(f, 'M', 'a', STR(""));
	to_rcpt();
	TALK("BDAT 4 LAST\r\nA: b", "250");
	ck_assert_str_eq(filter_heard(f), "");
	filter_forget(f, 'M');
	to_rcpt();
	TALK(
	    "BDAT 2\r\nA:NOOP\r\nRSET\r\nBDAT 2 LAST\r\n b", "250 250 250 503");
	ck_assert_str_eq(filter_heard(f), "T A ");
	to_rcpt();
	TALK("BDAT 4 LAST\r\nA: b", "250");
	ck_assert_str_eq(filter_heard(f), "T L N E ");
	ck_assert_uint_eq(h.fake.ncommits, 3);
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

int
main(void)
{
	const TTest *const tests[] = { content_refused, by_chunks, content_shut,
		last_words_are_kept, discarded, quarantined,
		quarantined_by_rule, after_queue, forged_results_go,
		forged_by_each_name, header_edited, body_replaced,
		large_body_replaced, no_room_for_new_body, large_body_shown,
		envelope_edited, deleted_and_added_again, nobody_left,
		added_against_the_rules };

	return run_tests_in("filtered_mail", tests,
	    sizeof(tests) / sizeof(tests[0]), filters_setup, filters_teardown);
}
