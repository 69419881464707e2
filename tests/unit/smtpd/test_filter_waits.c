/* What happens while filters think: clients that go on or go away, a queue
 * that goes, the end of all. */
#include "tests/unit/smtpd/one_filter.h"

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

/* What came while a filter thought of DATA was content, too; it is content
 * only if there is a 354. */
START_TEST(content_while_data_waits)
{
	static const char behind[] = "RSET\r\nMAIL FROM:<e@f>\r\n"
				     "RCPT TO:<g@h>\r\nDATA\r\nX: y\r\n.\r\n";

	/* taken, taken from one that ended its side, refused */
	static const char *const want[] = { "354 250", "354 250 EOF",
		"550 EOF" };

	one_filter();
	f->hold['T'] = true;
	for (int i = 0; i < 3; i++) {
		begin();
		TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
		harness_say(&h, STR("DATA\r\n"), 0);
		harness_until(&h, data_waits);
		harness_say(&h, str_of(behind), 0);
		harness_settle(&h);
		if (i == 1)
			shutdown(stream_fd(h.client), SHUT_WR);
		harness_settle(&h);
		if (i == 2)
			filter_says(f, 'T', 'r', STR(""));
		filter_release(f);
		TALK("", want[i]);
		harness_hang_up(&h);
	}
	ck_assert_uint_eq(h.fake.ncommits, 2);
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
	const TTest *const tests[] = { content_while_data_waits,
		stopped_while_they_wait, name_is_waited_for, client_goes,
		queue_is_another, queue_goes, pipelined, too_many_messages };

	return run_tests_in("filter_waits", tests,
	    sizeof(tests) / sizeof(tests[0]), filters_setup, filters_teardown);
}
