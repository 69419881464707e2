/* The dialogue: what is said, and what each answer means. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/world.c"

START_TEST(test_one_mail)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };
	char relay[40];

	server_start(&servers[0], script);
	deliver_one(1);
	ck_assert_uint_eq(capacity, AGENT_CAPACITY);
	ck_assert_uint_eq(ntold, 1);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(told[0].index, 10);
	ck_assert_str_eq(told[0].reply, "Ok: queued as X");
	snprintf(relay, sizeof(relay), "127.0.0.1:%u", servers[0].port);
	ck_assert_str_eq(told[0].relay, relay);
	ck_assert_str_eq(heard(&servers[0]),
	    "EHLO mx.test\r\nMAIL FROM:<a@b.test> SIZE=12\r\n"
	    "RCPT TO:<u@d.test>\r\nDATA\r\nA: b\r\n\r\nhi\r\n.\r\n");
}

END_TEST

START_TEST(test_reuse_is_two_writes_a_mail)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA,
		DOT_LOOP };
	size_t before;

	server_start(&servers[0], script);
	deliver_one(1);
	before = servers[0].nreads;
	deliver_one(1);
	deliver_one(1);
	ck_assert_uint_eq(ntold, 3);
	ck_assert_uint_eq(servers[0].npeers, 1);
	ck_assert_uint_le(servers[0].nreads, before + 4);
	ck_assert_uint_eq(conn_count(), 1);
}

END_TEST

START_TEST(test_several_at_once)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA,
		DOT_LOOP };

	server_start(&servers[0], script);
	for (int i = 0; i < 5; i++)
		give_one(1);
	run(5);
	ck_assert_uint_eq(servers[0].npeers, 5);
	ck_assert_uint_eq(ntold, 5);
}

END_TEST

START_TEST(test_messages_per_connection)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA,
		DOT_LOOP };

	numbers.messages_per_connection = 2;
	use_numbers();
	server_start(&servers[0], script);
	for (int i = 0; i < 3; i++)
		deliver_one(1);
	ck_assert_uint_eq(servers[0].npeers, 2);
	ck_assert_ptr_ne(strstr(heard(&servers[0]), "QUIT"), NULL);
}

END_TEST

START_TEST(test_without_pipelining_step_by_step)
{
	static const struct step script[] = { GREET,
		{ "EHLO", "502 5.5.1 what\r\n", 0 },
		{ "HELO mx.test", "250 mx\r\n", 0 }, MAIL, RCPT,
		{ "RCPT", "550 5.1.1 nobody\r\n", 0 }, DATA, DOT, NOTHING };
	struct mail m = to_one;

	server_start(&servers[0], script);
	m.hops = hops(1);
	m.to[1] = "v@d.test";
	give(&m);
	run(1);
	expect(0, OUTCOME_FAILED, 550, "5.1.1");
	ck_assert_uint_eq(told[0].index, 11);
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_ptr_ne(
	    strstr(heard(&servers[0]), "MAIL FROM:<a@b.test>\r\n"), NULL);
}

END_TEST

START_TEST(test_sender_refused)
{
	static const struct step script[] = { HELLO,
		{ "MAIL", "451 4.7.1 not now\r\n", 0 },
		{ "RCPT", "503 no\r\n", 0 }, { "DATA", "503 no\r\n", 0 },
		{ "RSET", "250 ok\r\n", 0 }, MAIL, RCPT, DATA, DOT, NOTHING };

	server_start(&servers[0], script);
	deliver_one(1);
	expect(0, OUTCOME_DEFERRED, 451, "4.7.1");
	deliver_one(1);
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(servers[0].npeers, 1);
}

END_TEST

START_TEST(test_sender_refused_step_by_step)
{
	static const struct step script[] = { HELLO_PLAIN,
		{ "MAIL", "550 5.7.1 never\r\n", 0 },
		{ "RSET", "250 ok\r\n", 0 }, NOTHING };

	server_start(&servers[0], script);
	deliver_one(1);
	expect(0, OUTCOME_FAILED, 550, "5.7.1");
	ck_assert_ptr_eq(strstr(heard(&servers[0]), "RCPT"), NULL);
}

END_TEST

START_TEST(test_too_many_recipients)
{
	static const struct step script[] = { HELLO, MAIL, RCPT,
		{ "RCPT", "452 4.5.3 too many\r\n", 0 },
		{ "RCPT", "552 too many\r\n", 0 }, DATA, DOT, MAIL, RCPT,
		{ "RCPT", "550 5.1.1 nobody\r\n", 0 }, DATA, DOT, NOTHING };
	struct mail m = to_one;

	server_start(&servers[0], script);
	m.hops = hops(1);
	m.to[1] = "v@d.test";
	m.to[2] = "w@d.test";
	give(&m);
	run(1);
	ck_assert_uint_eq(ntold, 3);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(told[0].index, 10);
	expect(1, OUTCOME_FAILED, 550, "5.1.1");
	ck_assert_uint_eq(told[1].index, 12);
	expect(2, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(servers[0].npeers, 1);
}

END_TEST

START_TEST(test_first_452_defers)
{
	static const struct step script[] = { HELLO, MAIL,
		{ "RCPT", "452 4.2.2 full\r\n", 0 },
		{ "DATA", "554 no valid recipients\r\n", 0 },
		{ "RSET", "250 ok\r\n", 0 }, NOTHING };

	server_start(&servers[0], script);
	deliver_one(1);
	expect(0, OUTCOME_DEFERRED, 452, "4.2.2");
}

END_TEST

START_TEST(test_more_recipients_than_a_transaction)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, RCPT, DATA,
		DOT, MAIL, RCPT, DATA, DOT, NOTHING };
	struct mail m = to_one;

	numbers.recipients = 2;
	use_numbers();
	server_start(&servers[0], script);
	m.hops = hops(1);
	m.to[1] = "v@d.test";
	m.to[2] = "w@d.test";
	give(&m);
	run(1);
	ck_assert_uint_eq(ntold, 3);
	for (size_t i = 0; i < 3; i++)
		expect(i, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

START_TEST(test_nobody_taken_but_354)
{
	static const struct step script[] = { HELLO, MAIL,
		{ "RCPT", "550 5.1.1 nobody\r\n", 0 }, DATA, NOTHING };

	server_start(&servers[0], script);
	deliver_one(1);
	expect(0, OUTCOME_FAILED, 550, "5.1.1");
	ck_assert_ptr_eq(strstr(heard(&servers[0]), "hi"), NULL);
	ck_assert_uint_eq(conn_count(), 0);
}

END_TEST

START_TEST(test_data_refused)
{
	static const struct step script[] = { HELLO, MAIL, RCPT,
		{ "DATA", "451 4.3.0 later\r\n", 0 },
		{ "RSET", "250 ok\r\n", 0 }, NOTHING };

	server_start(&servers[0], script);
	deliver_one(1);
	expect(0, OUTCOME_DEFERRED, 451, "4.3.0");
	ck_assert_ptr_eq(strstr(heard(&servers[0]), "hi"), NULL);
}

END_TEST

START_TEST(test_mail_refused_at_the_end)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA,
		{ ".", "554-5.7.1 spam\r\n554 5.7.1 \001\377really\r\n", 2 } };

	server_start(&servers[0], script);
	deliver_one(1);
	expect(0, OUTCOME_FAILED, 554, "5.7.1");
	ck_assert_str_eq(told[0].reply, "spam ??really");
	deliver_one(1);
	ck_assert_uint_eq(servers[0].npeers, 1);
}

END_TEST

/* --- after the dot --- */

START_TEST(test_lost_after_the_dot)
{
	static const struct step closing[] = { HELLO, MAIL, RCPT, DATA,
		{ ".", NULL, 0 } };
	static const struct step resetting[] = { HELLO, MAIL, RCPT, DATA,
		{ ".", reset, 0 } };
	static const struct step babbling[] = { HELLO, MAIL, RCPT, DATA,
		{ ".", "ok\r\n", 0 }, NOTHING };
	static const struct step mute[] = { HELLO, MAIL, RCPT, DATA,
		{ ".", silent, 0 }, NOTHING };
	static const struct step *const all[] = { closing, resetting, babbling,
		mute };
	static const struct step good[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };

	numbers.data_end_timeout = 100;
	use_numbers();
	server_start(&servers[0], all[_i]);
	server_start(&servers[1], good);
	deliver_one(2);
	ck_assert_uint_eq(ntold, 1);
	ck_assert_uint_eq(told[0].outcome, OUTCOME_DEFERRED);
	ck_assert_uint_eq(told[0].duplicate, 1);
	/* no other next hop may get it now */
	ck_assert_uint_eq(servers[1].npeers, 0);
}

END_TEST

START_TEST(test_421_to_the_dot)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA,
		{ ".", "421 4.3.2 bye\r\n", 0 }, NOTHING };

	server_start(&servers[0], script);
	deliver_one(1);
	expect(0, OUTCOME_DEFERRED, 421, "4.3.2");
	ck_assert_uint_eq(told[0].duplicate, 0);
	ck_assert_uint_eq(conn_count(), 0);
}

END_TEST

START_TEST(test_success_stays_when_the_end_is_rude)
{
	static const struct step more[] = { HELLO, MAIL, RCPT, DATA,
		{ ".", "250 ok\r\n250 ok\r\n", 0 }, NOTHING };
	static const struct step shutting[] = { HELLO, MAIL, RCPT, DATA,
		{ ".", "250 ok\r\n421 bye\r\n", 0 }, NOTHING };
	static const struct step quit_stall[] = { HELLO, MAIL, RCPT, DATA, DOT,
		{ "QUIT", silent, 0 }, NOTHING };
	static const struct step *const all[] = { more, shutting, quit_stall };

	numbers.messages_per_connection = 1;
	numbers.quit_timeout = 100;
	use_numbers();
	server_start(&servers[0], all[_i]);
	deliver_one(1);
	ck_assert_uint_eq(ntold, 1);
	ck_assert_uint_eq(told[0].outcome, OUTCOME_DELIVERED);
}

END_TEST

/* --- timeouts --- */

START_TEST(test_timeouts)
{
	static const struct step t_greet[] = { NOTHING };
	static const struct step t_ehlo[] = { GREET, NOTHING };
	static const struct step t_mail[] = { HELLO, NOTHING };
	static const struct step t_rcpt[] = { HELLO, MAIL, NOTHING };
	static const struct step t_data[] = { HELLO, MAIL, RCPT, NOTHING };
	static const struct step t_half[] = {
		{ "", "220-half\r\n220 a line", 0 }, NOTHING
	};
	static const struct step *const all[] = { t_greet, t_ehlo, t_mail,
		t_rcpt, t_data, t_half };
	static const char *const names[] = { "greeting", "EHLO", "MAIL FROM",
		"RCPT TO", "DATA", "greeting" };
	char text[64];

	numbers.greeting_timeout = numbers.helo_timeout = numbers.mail_timeout =
	    numbers.rcpt_timeout = numbers.data_init_timeout = 100;
	use_numbers();
	server_start(&servers[0], all[_i]);
	deliver_one(1);
	expect(0, OUTCOME_DEFERRED, 0, "4.4.2");
	ck_assert_uint_eq(told[0].duplicate, 0);
	snprintf(text, sizeof(text), "timed out in %s", names[_i]);
	ck_assert_str_eq(told[0].reply, text);
}

END_TEST

static int
big_file(uint64_t size)
{
	int fd = memfd_create("body", MFD_CLOEXEC);
	static char lines[65536];

	memset(lines, 'x', sizeof(lines));
	for (size_t i = 0; i < sizeof(lines); i += 64) {
		lines[i] = '.';
		lines[i + 62] = '\r';
		lines[i + 63] = '\n';
	}
	for (uint64_t n = 0; n < size; n += sizeof(lines))
		ck_assert_int_eq(
		    write(fd, lines, sizeof(lines)), (ssize_t)sizeof(lines));
	return fd;
}

static struct mail
big_mail(uint64_t size)
{
	struct mail m = to_one;

	m.hops = hops(1);
	m.content = "A: b\r\n\r\n";
	m.body_size = size;
	m.file = big_file(size);
	return m;
}

#define HELLO_PIPE                                        \
	GREET,                                            \
	{                                                 \
		"EHLO", "250-mx\r\n250 PIPELINING\r\n", 0 \
	}

START_TEST(test_stall_in_the_mail)
{
	static const struct step script[] = { HELLO_PIPE, MAIL, RCPT, DATA,
		{ "", deaf, 0 }, NOTHING };
	struct mail m;

	numbers.data_block_timeout = 100;
	use_numbers();
	server_start(&servers[0], script);
	m = big_mail(16 << 20);
	give(&m);
	close(m.file);
	run(1);
	expect(0, OUTCOME_DEFERRED, 0, "4.4.2");
	ck_assert_uint_eq(told[0].duplicate, 0);
}

END_TEST

START_TEST(test_big_mail_from_file)
{
	static const struct step script[] = { HELLO_PIPE, MAIL, RCPT, DATA, DOT,
		NOTHING };
	struct mail m;
	const char *body;

	server_start(&servers[0], script);
	m = big_mail(3 << 20);
	give(&m);
	close(m.file);
	run(1);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	body = strstr(servers[0].heard.p, "A: b\r\n\r\n");
	ck_assert_ptr_ne(body, NULL);
	/* each line of 64 bytes begins with a dot, which was doubled */
	ck_assert_uint_eq(
	    (size_t)(servers[0].heard.p + servers[0].heard.len - body),
	    8 + (3 << 20) / 64 * 65 + 3);
	ck_assert_int_eq(strncmp(body + 8, "..xx", 4), 0);
}

END_TEST

/* The file is shorter than was said: not even a part may count as a mail. */
START_TEST(test_short_file)
{
	static const struct step script[] = { HELLO_PIPE, MAIL, RCPT, DATA,
		{ ".", "250 oh no\r\n", 0 }, NOTHING };
	struct mail m;

	server_start(&servers[0], script);
	m = big_mail(1 << 20);
	m.body_size++;
	give(&m);
	close(m.file);
	run(1);
	expect(0, OUTCOME_DEFERRED, 0, "4.3.0");
	ck_assert_uint_eq(told[0].duplicate, 0);
}

END_TEST

/* "552 too big" in the middle counts; a yes to half a mail is a breach. */
START_TEST(test_early_answer)
{
	static const struct step no[] = { HELLO_PIPE, MAIL, RCPT, DATA,
		{ "@", "552 5.3.4 too big\r\n", 0 }, { "", deaf, 0 }, NOTHING };
	static const struct step yes[] = { HELLO_PIPE, MAIL, RCPT, DATA,
		{ "@", "250 fine\r\n", 0 }, { "", deaf, 0 }, NOTHING };
	static const struct step before[] = { HELLO_PIPE, MAIL, RCPT,
		{ "DATA", "354 go\r\n250 fine\r\n", 0 }, { "", deaf, 0 },
		NOTHING };
	static const struct step *const all[] = { no, yes, before };
	struct mail m;

	server_start(&servers[0], all[_i]);
	m = big_mail(16 << 20);
	give(&m);
	close(m.file);
	run(1);
	ck_assert_uint_eq(ntold, 1);
	if (_i == 0)
		expect(0, OUTCOME_FAILED, 552, "5.3.4");
	else
		expect(0, OUTCOME_DEFERRED, 0, "4.5.0");
	ck_assert_uint_eq(told[0].duplicate, 0);
}

END_TEST

/* --- what the next hop offers --- */

START_TEST(test_too_big)
{
	static const struct step script[] = { GREET,
		{ "EHLO", "250-mx\r\n250 size 11\r\n", 0 }, NOTHING };

	server_start(&servers[0], script);
	deliver_one(1);
	expect(0, OUTCOME_FAILED, 0, "5.3.4");
	ck_assert_ptr_eq(strstr(heard(&servers[0]), "MAIL"), NULL);
	ck_assert_uint_eq(conn_count(), 1);
}

END_TEST

START_TEST(test_8bit_and_utf8)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };
	struct mail m = to_one;

	server_start(&servers[0], script);
	m.hops = hops(1);
	m.flags = ENVELOPE_8BIT | ENVELOPE_SMTPUTF8;
	m.to[0] = "j\xc3\xb6rg@d.test";
	give(&m);
	run(1);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_ptr_ne(
	    strstr(heard(&servers[0]), "SIZE=12 BODY=8BITMIME SMTPUTF8\r\n"),
	    NULL);
}

END_TEST

START_TEST(test_8bit_and_utf8_not_offered)
{
	static const struct step script[] = { HELLO_PLAIN, MAIL, RCPT, DATA,
		DOT, NOTHING };
	struct mail m = to_one;

	server_start(&servers[0], script);
	m.hops = hops(1);
	m.flags = ENVELOPE_8BIT | ENVELOPE_SMTPUTF8;
	m.to[1] = "j\xc3\xb6rg@d.test";
	give(&m);
	run(1);
	expect(0, OUTCOME_FAILED, 0, "5.6.7");
	ck_assert_uint_eq(told[0].index, 11);
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_ptr_ne(
	    strstr(heard(&servers[0]), "MAIL FROM:<a@b.test>\r\n"), NULL);
}

END_TEST

START_TEST(test_address_that_ends_a_command)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };
	struct mail m = to_one;

	server_start(&servers[0], script);
	m.hops = hops(1);
	m.to[1] = "x@d.test>\r\nRSET";
	give(&m);
	run(1);
	expect(0, OUTCOME_FAILED, 0, "5.1.3");
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_ptr_eq(strstr(heard(&servers[0]), "RSET"), NULL);
}

END_TEST

START_TEST(test_line_ends_are_made_whole)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };
	struct mail m = to_one;

	server_start(&servers[0], script);
	m.hops = hops(1);
	m.content = "A: b\r\n\r\nx\n.\ny\r.z";
	give(&m);
	run(1);
	ck_assert_ptr_ne(
	    strstr(heard(&servers[0]), "\r\n\r\nx\r\n..\r\ny\r\n..z\r\n.\r\n"),
	    NULL);
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "one", test_one_mail, 1 },
		{ "reuse", test_reuse_is_two_writes_a_mail, 1 },
		{ "several", test_several_at_once, 1 },
		{ "per connection", test_messages_per_connection, 1 },
		{ "stepwise", test_without_pipelining_step_by_step, 1 },
		{ "sender", test_sender_refused, 1 },
		{ "sender stepwise", test_sender_refused_step_by_step, 1 },
		{ "too many", test_too_many_recipients, 1 },
		{ "first 452", test_first_452_defers, 1 },
		{ "recipients", test_more_recipients_than_a_transaction, 1 },
		{ "nobody", test_nobody_taken_but_354, 1 },
		{ "data", test_data_refused, 1 },
		{ "refused", test_mail_refused_at_the_end, 1 },
		{ "after dot", test_lost_after_the_dot, 4 },
		{ "421 to dot", test_421_to_the_dot, 1 },
		{ "rude end", test_success_stays_when_the_end_is_rude, 3 },
		{ "timeouts", test_timeouts, 6 },
		{ "stall", test_stall_in_the_mail, 1 },
		{ "big", test_big_mail_from_file, 1 },
		{ "short file", test_short_file, 1 },
		{ "early", test_early_answer, 3 },
		{ "too big", test_too_big, 1 },
		{ "8bit", test_8bit_and_utf8, 1 },
		{ "no 8bit", test_8bit_and_utf8_not_offered, 1 },
		{ "address", test_address_that_ends_a_command, 1 },
		{ "line ends", test_line_ends_are_made_whole, 1 },
	};

	return run_tests(
	    "smtp_client", tests, sizeof(tests) / sizeof(tests[0]));
}
