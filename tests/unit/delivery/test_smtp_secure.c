/* STARTTLS and smtps as policies demand them: what is said in the clear, what
 * is forgotten, what never happens. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/talk.c"

#define STARTTLS                         \
	{                                \
		"STARTTLS\r\n", starttls \
	}
#define OFFERS EHLO_("250-SIZE 5\r\n250-DSN\r\n250 STARTTLS\r\n")
#define SECURELY                     \
	GREET, OFFERS, STARTTLS,     \
	{                            \
		"EHLO", "250 mx\r\n" \
	}
#define HELLO_SAID "EHLO us.test\r\n"

static const struct step good[] = { SECURELY, MAIL, RCPT, DATA, DOT, NOTHING };
static const struct step without[] = { GREET, EHLO_("250 HELP\r\n"), MAIL, RCPT,
	DATA, DOT, NOTHING };

static const enum secure_level strict[] = { SECURE_MUST, SECURE_VERIFIED,
	SECURE_DANE };

static char name_ok[] = "mx.test", name_bad[] = "other.test",
	    name_wide[] = ".test";

static void
verify(char *name)
{
	static char *names[1];

	names[0] = name;
	policy.level = SECURE_VERIFIED;
	policy.names = names;
	policy.nnames = 1;
}

START_TEST(test_offered)
{
	policy.level = _i == 0 ? SECURE_MAY : SECURE_MUST;
	talk(good, &to_one);
	ck_assert(server.secured);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_ptr_nonnull(strstr(told[0].tls, "TLSv1.3 TLS_AES"));
	/* SIZE 5 and DSN were said by nobody knows whom */
	ck_assert_str_eq(heard(),
	    HELLO_SAID "STARTTLS\r\n" HELLO_SAID
		       "MAIL FROM:<a@b.test>\r\nRCPT TO:<u@d.test>\r\n"
		       "DATA\r\nA: b\r\n\r\nhi\r\n.\r\n");
}

END_TEST

START_TEST(test_not_offered)
{
	talk(without, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_str_eq(told[0].tls, "");
}

END_TEST

START_TEST(test_not_offered_but_demanded)
{
	static const struct step helo[] = { GREET, { "EHLO", "500 what\r\n" },
		{ "HELO", "250 mx\r\n" }, NOTHING };

	policy.level = strict[_i];
	talk(without, &to_one);
	expect_lost(LOST_TLS, "4.7.4");
	ck_assert_str_eq(heard(), HELLO_SAID);
	ck_assert_uint_eq(ntold, 0);
	talk(helo, &to_one);
	expect_lost(LOST_TLS, "4.7.4");
	ck_assert(!has_heard("MAIL"));
}

END_TEST

START_TEST(test_never)
{
	static const struct step script[] = { GREET, OFFERS, NOTHING };

	if (_i == 0)
		policy.level = SECURE_NEVER;
	else
		in_clear = true;
	talk(script, NULL);
	ck_assert(ready);
	ck_assert_str_eq(heard(), HELLO_SAID);
}

END_TEST

START_TEST(test_refused)
{
	static const struct step temp[] = { GREET, OFFERS,
		{ "STARTTLS", "454 4.7.0 not now\r\n" }, NOTHING };
	static const struct step perm[] = { GREET, OFFERS,
		{ "STARTTLS", "502 what\r\n" }, NOTHING };
	const struct step *script = _i % 2 == 0 ? temp : perm;

	policy.level = _i < 2 ? SECURE_MAY : strict[_i / 2 - 1];
	talk(script, NULL);
	if (_i < 2)
		ck_assert(ready);
	else
		expect_lost(LOST_TLS, "4.7.4");
	ck_assert_str_eq(heard(), HELLO_SAID "STARTTLS\r\n");
}

END_TEST

/* O-13, T-2: whoever talks between 220 and TLS. */
START_TEST(test_injected)
{
	static const struct step reply[] = { GREET, OFFERS,
		{ "STARTTLS", "220 go\r\n250 mx\r\n" }, NOTHING };
	static const struct step byte[] = { GREET, OFFERS,
		{ "STARTTLS", "220 go\r\nx" }, NOTHING };
	static const struct step bye[] = { GREET, OFFERS,
		{ "STARTTLS", "220 go\r\n421 bye\r\n" }, NOTHING };
	static const struct step *const scripts[] = { reply, byte, bye };

	policy.level = _i < 3 ? SECURE_MAY : SECURE_MUST;
	talk(scripts[_i % 3], &to_one);
	ck_assert(lost);
	ck_assert_int_ne(how, LOST_TLS);
	expect_lost(how, "4.7.5");
	ck_assert_str_eq(heard(), HELLO_SAID "STARTTLS\r\n");
}

END_TEST

/* The same when it lies behind what is read at once: the 220 fills a read to
 * its last byte. */
START_TEST(test_injected_unread)
{
	enum { READ = 65536, LINES = 99 };

	static char reply[READ + 1 + 8];
	const struct step script[] = { GREET, OFFERS, { "STARTTLS", reply },
		NOTHING };
	size_t n = 0, each = (READ - 10) / LINES;

	for (size_t i = 0; i < LINES; i++) {
		size_t len = i + 1 < LINES ? each : READ - 10 - n;

		put(reply + n, "220-");
		memset(reply + n + 4, 'x', len - 6);
		put(reply + n + len - 2, "\r\n");
		n += len;
	}
	put(reply + n, "220 okay\r\n");
	strcpy(reply + READ, "250 mx");
	talk(script, &to_one);
	expect_lost(LOST_HOP, "4.7.5");
	ck_assert_ptr_nonnull(strstr(why_lost.text, "something came"));
}

END_TEST

START_TEST(test_handshake_fails)
{
	static const struct step closes[] = { GREET, OFFERS,
		{ "STARTTLS", "220 go\r\n" }, NOTHING };

	policy.level = _i == 0 ? SECURE_MAY : SECURE_MUST;
	signer.how = SIGNER_FAILS;
	talk(good, &to_one);
	expect_lost(LOST_TLS, "4.7.5");
	ck_assert_str_eq(heard(), HELLO_SAID "STARTTLS\r\n");
	signer.how = SIGNER_ANSWERS;
	/* and one that never comes */
	numbers.starttls_timeout = 100;
	talk(closes, &to_one);
	expect_lost(LOST_TLS, "4.7.5");
	ck_assert_str_eq(why_lost.text, "timed out in the TLS handshake");
}

END_TEST

START_TEST(test_no_answer_to_starttls)
{
	static const struct step script[] = { GREET, OFFERS, NOTHING };

	numbers.starttls_timeout = 100;
	talk(script, &to_one);
	expect_lost(LOST_HOP, "4.4.2");
	ck_assert_str_eq(why_lost.text, "timed out in STARTTLS");
}

END_TEST

START_TEST(test_closed_in_the_handshake)
{
	static const struct step script[] = { GREET, OFFERS,
		{ "STARTTLS", "220 go\r\n" }, { "", NULL }, NOTHING };

	talk(script, &to_one);
	expect_lost(LOST_TLS, "4.7.5");
}

END_TEST

START_TEST(test_verified)
{
	verify(_i == 0 ? name_ok : name_wide);
	talk(good, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_ptr_nonnull(strstr(told[0].tls, " verified"));
}

END_TEST

START_TEST(test_not_verified)
{
	verify(_i == 0 ? name_bad : name_ok);
	if (_i == 1)
		secure_set_authorities(memory_file(""));
	talk(good, &to_one);
	expect_lost(LOST_TLS, "4.7.5");
	ck_assert_str_eq(heard(), HELLO_SAID "STARTTLS\r\n");
}

END_TEST

START_TEST(test_at_once)
{
	static const struct step script[] = { { "", tls_now },
		{ "", "220 mx\r\n" }, { "EHLO", "250 mx\r\n" }, MAIL, RCPT,
		DATA, DOT, NOTHING };
	static const struct step clear[] = { { "", "220 mx\r\n" }, NOTHING };

	verify(name_ok);
	policy.at_once = true;
	talk(script, &to_one);
	ck_assert(server.secured);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert(!has_heard("STARTTLS"));
	talk(clear, &to_one);
	expect_lost(LOST_TLS, "4.7.5");
	ck_assert(!has_heard("EHLO"));
}

END_TEST

/* RFC 8689: proof and promise, or somebody else. */
START_TEST(test_require_tls)
{
	static const struct step script[] = { GREET, OFFERS, STARTTLS,
		{ "EHLO", "250-mx\r\n250 REQUIRETLS\r\n" }, MAIL, RCPT, DATA,
		DOT, NOTHING };
	static const struct step before[] = { GREET,
		EHLO_("250-REQUIRETLS\r\n250 STARTTLS\r\n"), STARTTLS,
		{ "EHLO", "250 mx\r\n" }, NOTHING };
	struct mail m = to_one;

	m.flags = ENVELOPE_REQUIRETLS;
	policy.require_tls = true;
	verify(name_ok);
	talk(script, &m);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert(has_heard("MAIL FROM:<a@b.test> REQUIRETLS\r\n"));
	talk(before, &m);
	expect_lost(LOST_TLS, "4.7.4");
	ck_assert(!has_heard("MAIL"));
	/* secured, but nobody knows by whom */
	policy.level = SECURE_MUST;
	secure_set_authorities(memory_file(""));
	talk(script, &m);
	expect_lost(LOST_TLS, "4.7.4");
}

END_TEST

START_TEST(test_no_ehlo_by_tls)
{
	static const struct step script[] = { GREET, OFFERS, STARTTLS,
		{ "EHLO", "502 not here\r\n" }, { "HELO", "250 mx\r\n" }, MAIL,
		RCPT, DATA, DOT, NOTHING };

	policy.level = SECURE_MUST;
	talk(script, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

/* The name is said to be another behind TLS. */
START_TEST(test_offered_again)
{
	static const struct step script[] = { GREET, OFFERS, STARTTLS,
		{ "EHLO", "250-mx\r\n250 STARTTLS\r\n" }, MAIL, RCPT, DATA, DOT,
		NOTHING };

	talk(script, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "offered", test_offered, 2 },
		{ "not offered", test_not_offered, 1 },
		{ "demanded", test_not_offered_but_demanded, 3 },
		{ "never", test_never, 2 },
		{ "refused", test_refused, 8 },
		{ "injected", test_injected, 6 },
		{ "injected unread", test_injected_unread, 1 },
		{ "handshake", test_handshake_fails, 2 },
		{ "no answer", test_no_answer_to_starttls, 1 },
		{ "closed", test_closed_in_the_handshake, 1 },
		{ "verified", test_verified, 2 },
		{ "not verified", test_not_verified, 2 },
		{ "at once", test_at_once, 1 },
		{ "requiretls", test_require_tls, 1 },
		{ "no EHLO", test_no_ehlo_by_tls, 1 },
		{ "again", test_offered_again, 1 },
	};

	return run_tests(
	    "smtp_secure", tests, sizeof(tests) / sizeof(tests[0]));
}
