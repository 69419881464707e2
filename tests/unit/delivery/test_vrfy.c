/* VRFY on the way out. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/world.c"

#define VRFY(reply)              \
	{                        \
		"VRFY", reply, 0 \
	}

static void
use_vrfy(void)
{
	config->actions[0].vrfy = true;
}

static void
give_three(void)
{
	struct mail m = to_one;

	m.hops = hops(1);
	m.to[1] = "v@d.test";
	m.to[2] = "w@d.test";
	give(&m);
	run(1);
}

static size_t
count_heard(const char *what)
{
	const char *p = heard(&servers[0]);
	size_t n = 0;

	for (; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

/* As the classic descriptions have it: aibo is unknown, the others get it. */
START_TEST(test_one_unknown)
{
	static const struct step script[] = { HELLO,
		VRFY("550 5.1.1 no such user here\r\n"),
		VRFY("250 2.1.5 <v@d.test>\r\n"), VRFY("252 2.1.5 try\r\n"),
		MAIL, RCPT, RCPT, DATA, DOT_LOOP };

	use_vrfy();
	server_start(&servers[0], script);
	give_three();
	ck_assert_uint_eq(ntold, 3);
	expect(0, OUTCOME_FAILED, 550, "5.1.1");
	ck_assert_uint_eq(told[0].index, 10);
	ck_assert_str_eq(told[0].reply, "no such user here");
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
	expect(2, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_str_eq(heard(&servers[0]),
	    "EHLO mx.test\r\nVRFY u@d.test\r\nVRFY v@d.test\r\n"
	    "VRFY w@d.test\r\nMAIL FROM:<a@b.test> SIZE=12\r\n"
	    "RCPT TO:<v@d.test>\r\nRCPT TO:<w@d.test>\r\nDATA\r\n"
	    "A: b\r\n\r\nhi\r\n.\r\n");
	/* each VRFY waits for the answer to the one before */
	ck_assert_uint_ge(servers[0].nreads, 6);
}

END_TEST

/* The one answer that is a no, and those that are not. */
static const struct {
	const char *reply;
	const char *status; /* NULL: goes on to RCPT */
} answers[] = {
	{ "250 2.1.5 ok\r\n", NULL },
	{ "251 2.1.5 elsewhere\r\n", NULL },
	{ "252 2.1.5 perhaps\r\n", NULL },
	{ "450 4.2.1 busy\r\n", NULL },
	{ "451 4.3.0 broken\r\n", NULL },
	{ "553 5.1.3 ambiguous\r\n", NULL },
	{ "554 5.7.1 not for you\r\n", NULL },
	{ "550 5.1.1 nobody\r\n", "5.1.1" },
	{ "551 5.1.6 moved\r\n", "5.1.6" },
};

START_TEST(test_answers)
{
	struct step script[] = { HELLO, VRFY(answers[_i].reply), MAIL, RCPT,
		DATA, DOT, NOTHING };

	use_vrfy();
	server_start(&servers[0], script);
	deliver_one(1);
	ck_assert_uint_eq(ntold, 1);
	if (answers[_i].status == NULL) {
		expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	} else {
		ck_assert_uint_eq(told[0].outcome, OUTCOME_FAILED);
		ck_assert_str_eq(told[0].status, answers[_i].status);
		ck_assert_uint_eq(count_heard("MAIL"), 0);
	}
	ck_assert_uint_eq(nunreachable, 0);
	/* whatever it was, the connection is as good as before */
	ck_assert_uint_eq(conn_count(), 1);
}

END_TEST

START_TEST(test_no_such_verb)
{
	static const char *const replies[] = { "500 5.5.1 what\r\n",
		"501 5.5.4 how\r\n", "502 5.5.1 no\r\n",
		"503 5.5.1 not now\r\n", "504 5.5.4 no\r\n" };
	struct step script[] = { HELLO, VRFY(replies[_i]), MAIL, RCPT, RCPT,
		RCPT, DATA, DOT, MAIL, RCPT, DATA, DOT, NOTHING };

	use_vrfy();
	server_start(&servers[0], script);
	give_three();
	ck_assert_uint_eq(ntold, 3);
	deliver_one(1);
	for (size_t i = 0; i < 4; i++)
		expect(i, OUTCOME_DELIVERED, 250, "2.0.0");
	/* never again on this connection */
	ck_assert_uint_eq(count_heard("VRFY"), 1);
	ck_assert_uint_eq(servers[0].npeers, 1);
}

END_TEST

/* `No' to the question rather than to the recipient. */
START_TEST(test_vrfy_is_not_allowed)
{
	static const struct step script[] = { HELLO,
		VRFY("550 5.7.1 VRFY disallowed\r\n"),
		VRFY("550 5.7.1 VRFY disallowed\r\n"), VRFY("551 5.7.1 no\r\n"),
		MAIL, RCPT, RCPT, RCPT, DATA, DOT, NOTHING };

	use_vrfy();
	server_start(&servers[0], script);
	give_three();
	for (size_t i = 0; i < 3; i++)
		expect(i, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

/* Nobody left: nothing is said, and the next mail goes on there. */
START_TEST(test_nobody_left)
{
	static const struct step script[] = { HELLO,
		VRFY("550 5.1.1 nobody\r\n"), VRFY("551 5.1.6 moved\r\n"),
		VRFY("550 5.1.1 nobody\r\n"), VRFY("250 ok\r\n"), MAIL, RCPT,
		DATA, DOT, NOTHING };

	use_vrfy();
	server_start(&servers[0], script);
	give_three();
	ck_assert_uint_eq(ntold, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(told[i].outcome, OUTCOME_FAILED);
	ck_assert_uint_eq(count_heard("MAIL"), 0);
	ck_assert_uint_eq(count_heard("RSET"), 0);
	deliver_one(1);
	expect(3, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(servers[0].npeers, 1);
}

END_TEST

/* A transaction's worth at a time; who was not asked about is not sent to. */
START_TEST(test_as_many_as_a_transaction)
{
	static const struct step script[] = { HELLO,
		VRFY("550 5.1.1 nobody\r\n"), VRFY("250 ok\r\n"), MAIL, RCPT,
		DATA, DOT, VRFY("250 ok\r\n"), MAIL, RCPT, DATA, DOT, NOTHING };
	static const struct step none[] = { HELLO, VRFY("550 5.1.1 nobody\r\n"),
		VRFY("550 5.1.1 nobody\r\n"), VRFY("250 ok\r\n"), MAIL, RCPT,
		DATA, DOT, NOTHING };

	numbers.recipients = 2;
	use_numbers();
	use_vrfy();
	server_start(&servers[0], _i == 0 ? script : none);
	give_three();
	ck_assert_uint_eq(ntold, 3);
	expect(0, OUTCOME_FAILED, 550, "5.1.1");
	expect(2, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(count_heard("VRFY"), 3);
	ck_assert_uint_eq(count_heard("RCPT"), _i == 0 ? 2 : 1);
}

END_TEST

/* One who is left over for a second transaction is not asked about twice. */
START_TEST(test_too_many_then_once_more)
{
	static const struct step script[] = { HELLO, VRFY("250 ok\r\n"),
		VRFY("250 ok\r\n"), VRFY("250 ok\r\n"), MAIL, RCPT, RCPT,
		{ "RCPT", "452 4.5.3 too many\r\n", 0 }, DATA, DOT, MAIL, RCPT,
		DATA, DOT, NOTHING };

	use_vrfy();
	server_start(&servers[0], script);
	give_three();
	for (size_t i = 0; i < 3; i++)
		expect(i, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(count_heard("VRFY"), 3);
}

END_TEST

/* Another next hop is asked anew. */
START_TEST(test_lost_in_vrfy)
{
	static const struct step closing[] = { HELLO, VRFY("250 ok\r\n"),
		{ "VRFY", NULL, 0 } };
	static const struct step shutting[] = { HELLO, VRFY("250 ok\r\n"),
		VRFY("421 4.3.2 bye\r\n"), NOTHING };
	static const struct step babbling[] = { HELLO, VRFY("250 ok\r\n"),
		VRFY("354 go\r\n"), NOTHING };
	static const struct step mute[] = { HELLO, VRFY("250 ok\r\n"),
		VRFY(silent), NOTHING };
	static const struct step *const all[] = { closing, shutting, babbling,
		mute };
	static const struct step good[] = { HELLO, VRFY("250 ok\r\n"),
		VRFY("250 ok\r\n"), MAIL, RCPT, RCPT, DATA, DOT, NOTHING };
	struct mail m = to_one;

	numbers.rcpt_timeout = 200;
	use_numbers();
	use_vrfy();
	server_start(&servers[0], all[_i]);
	server_start(&servers[1], good);
	m.hops = hops(2);
	m.to[1] = "v@d.test";
	give(&m);
	run(1);
	ck_assert_uint_eq(ntold, 2);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

START_TEST(test_utf8)
{
	static const struct step script[] = { HELLO, VRFY("250 ok\r\n"),
		VRFY("250 ok\r\n"), MAIL, RCPT, RCPT, DATA, DOT, NOTHING };
	struct mail m = to_one;

	use_vrfy();
	server_start(&servers[0], script);
	m.hops = hops(1);
	m.to[0] = "j\xc3\xb6rg@d.test";
	m.to[1] = "v@d.test";
	give(&m);
	run(1);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_ptr_ne(
	    strstr(heard(&servers[0]), "VRFY j\xc3\xb6rg@d.test SMTPUTF8\r\n"),
	    NULL);
	ck_assert_uint_eq(count_heard("VRFY v@d.test\r\n"), 1);
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "one unknown", test_one_unknown, 1 },
		{ "answers", test_answers,
		    sizeof(answers) / sizeof(answers[0]) },
		{ "no such verb", test_no_such_verb, 5 },
		{ "not allowed", test_vrfy_is_not_allowed, 1 },
		{ "nobody left", test_nobody_left, 1 },
		{ "as many", test_as_many_as_a_transaction, 2 },
		{ "too many", test_too_many_then_once_more, 1 },
		{ "lost", test_lost_in_vrfy, 4 },
		{ "utf8", test_utf8, 1 },
	};

	return run_tests("vrfy", tests, sizeof(tests) / sizeof(tests[0]));
}
