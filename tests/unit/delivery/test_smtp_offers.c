/* What a next hop offers: LIMITS, and 8 bits where it has none. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/talk.c"

#define HELLO_LIMITS(text) \
	GREET, EHLO_("250-PIPELINING\r\n250 LIMITS " text "\r\n")
#define GROUP MAIL, RCPT, DATA, DOT

static const struct mail to_four = { .from = "a@b.test",
	.to = { "u@d.test", "v@e.test", "w@D.test", "x@e.test" } };

static size_t
count(const char *text)
{
	size_t n = 0;

	for (const char *p = heard(); (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

START_TEST(test_rcptmax)
{
	static const struct step script[] = { HELLO_LIMITS(
						  "MAILMAX=9 RCPTMAX=3"),
		MAIL, RCPT, RCPT, RCPT, DATA, DOT, GROUP, NOTHING };

	talk(script, &to_four);
	ck_assert(ready);
	ck_assert_uint_eq(ntold, 4);
	ck_assert_uint_eq(count("MAIL FROM"), 2);
}

END_TEST

START_TEST(test_mailmax)
{
	static const struct step script[] = {
		HELLO_LIMITS("MAILMAX=1 RCPTMAX=1"), GROUP, NOTHING
	};

	talk(script, &to_four);
	ck_assert(ready);
	ck_assert_uint_eq(ntold, 1);
	ck_assert(conn != NULL && client_is_used_up(conn));
	ck_assert_uint_eq(work->nopen, 3);
	ck_assert_uint_eq(count("MAIL FROM"), 1);
}

END_TEST

/* Which of them share a domain. */
START_TEST(test_domains)
{
	static const struct step script[] = { HELLO_LIMITS("RCPTDOMAINMAX=1"),
		MAIL, RCPT, RCPT, DATA, DOT, MAIL, RCPT, RCPT, DATA, DOT,
		NOTHING };

	talk(script, &to_four);
	ck_assert(ready);
	ck_assert_uint_eq(ntold, 4);
	ck_assert(has_heard("<u@d.test>\r\nRCPT TO:<w@D.test>\r\nDATA"));
	ck_assert(has_heard("<v@e.test>\r\nRCPT TO:<x@e.test>\r\nDATA"));
}

END_TEST

/* O-14: what makes no sense is no limit. */
START_TEST(test_no_limits)
{
	static const char *const nonsense[] = { "", "RCPTMAX",
		"RCPTMAX=", "RCPTMAX=0", "RCPTMAX=-1 MAILMAX=x",
		"RCPTMAX=1000000", "RCPTMAX=99999999999999999999",
		"=1 == RCPTMAX==1", "OTHER=1" };
	char hello[200];
	const struct step script[] = { GREET, { "EHLO", hello }, MAIL, RCPT,
		RCPT, RCPT, RCPT, DATA, DOT, NOTHING };

	snprintf(hello, sizeof(hello),
	    "250-mx\r\n250-PIPELINING\r\n250 LIMITS %s\r\n", nonsense[_i]);
	talk(script, &to_four);
	ck_assert(ready);
	ck_assert_uint_eq(ntold, 4);
	ck_assert_uint_eq(count("MAIL FROM"), 1);
	ck_assert(conn != NULL && !client_is_used_up(conn));
}

END_TEST

/* What was said to HELO is not there. */
START_TEST(test_learned_from_success_only)
{
	static const struct step script[] = { GREET,
		{ "EHLO", "550-no\r\n550-SIZE 5\r\n550 STARTTLS\r\n" },
		{ "HELO", "250-mx\r\n250 STARTTLS\r\n" }, GROUP, NOTHING };

	talk(script, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert(!has_heard("STARTTLS"));
}

END_TEST

static const char eight[] = "Subject: x\r\nMIME-Version: 1.0\r\n"
			    "Content-Type: text/plain; charset=utf-8\r\n"
			    "Content-Transfer-Encoding: 8bit\r\n\r\n"
			    "gr\xc3\xbc\xc3\x9f\r\n.\r\n";

START_TEST(test_8bit)
{
	static const struct step script[] = { GREET,
		EHLO_("250-SIZE\r\n250-PIPELINING\r\n250-CHUNKING\r\n"
		      "250 8BITMIME\r\n"),
		MAIL, RCPT, { "BDAT", "250 ok\r\n" }, NOTHING };
	struct mail m = to_one;

	m.content = eight;
	m.flags = ENVELOPE_8BIT;
	talk(script, &m);
	ck_assert_uint_eq(told[0].outcome, OUTCOME_DELIVERED);
	ck_assert(has_heard(" BODY=8BITMIME\r\n"));
	ck_assert(has_heard(eight));
}

END_TEST

START_TEST(test_made_7bit)
{
	static const struct step script[] = { GREET,
		EHLO_("250-SIZE\r\n250-PIPELINING\r\n250 CHUNKING\r\n"), MAIL,
		RCPT, DATA, DOT, MAIL, RCPT, { "BDAT", "250 ok\r\n" },
		NOTHING };
	struct mail m = to_one;

	m.content = eight;
	m.flags = ENVELOPE_8BIT;
	talk(script, &m);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	/* nobody knows its size before */
	ck_assert(has_heard("MAIL FROM:<a@b.test>\r\n"));
	ck_assert(has_heard("quoted-printable\r\n"));
	ck_assert(has_heard("gr=C3=BC=C3=9F\r\n..\r\n.\r\n"));
	talk_on(&to_one);
	ck_assert(has_heard("SIZE=12\r\n"));
	ck_assert(has_heard("BDAT 12 LAST\r\nA: b\r\n\r\nhi\r\n"));
}

END_TEST

/* The connection ends in the middle of it: nothing is left behind. */
START_TEST(test_made_7bit_lost)
{
	static const struct step script[] = { GREET, EHLO_("250 HELP\r\n"),
		MAIL, RCPT, { "DATA", "354 go\r\n" }, { ".", NULL }, NOTHING };
	struct mail m = to_one;

	m.content = eight;
	m.flags = ENVELOPE_8BIT;
	talk(script, &m);
	ck_assert(lost);
	ck_assert_uint_eq(told[0].duplicate, 1);
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "rcptmax", test_rcptmax, 1 },
		{ "mailmax", test_mailmax, 1 },
		{ "domains", test_domains, 1 },
		{ "no limits", test_no_limits, 9 },
		{ "success only", test_learned_from_success_only, 1 },
		{ "8bit", test_8bit, 1 },
		{ "7bit", test_made_7bit, 1 },
		{ "7bit lost", test_made_7bit_lost, 1 },
	};

	return run_tests(
	    "smtp_offers", tests, sizeof(tests) / sizeof(tests[0]));
}
