/* What is passed on to a next hop that knows DSN, and to others. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/world.c"

#define HELLO_DSN                         \
	GREET,                            \
	{                                 \
		"EHLO",                   \
		    "250-mx.test\r\n"     \
		    "250-dsn\r\n"         \
		    "250-SMTPUTF8\r\n"    \
		    "250 PIPELINING\r\n", \
		    0                     \
	}

static const struct mail WISHES = { .from = "a@b.test",
	.to = { "u@d.test", "v@d.test", "w@d.test" },
	.envid = "Q=1 +",
	.orcpt = { "rfc822;U+x@old.test", "utf-8;\xc3\xb6=\\@old.test", NULL },
	.notify = { NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY,
	    NOTIFY_NEVER, NOTIFY_DEFAULT },
	.flags = ENVELOPE_RET_HDRS };

static void
deliver(const struct mail *wishes)
{
	struct mail m = *wishes;

	m.hops = hops(1);
	give(&m);
	run(1);
	ck_assert_uint_eq(ntold, 3);
}

START_TEST(passed_on)
{
	static const struct step script[] = { HELLO_DSN, MAIL, RCPT, RCPT, RCPT,
		DATA, DOT, NOTHING };
	struct mail m = WISHES;

	server_start(&servers[0], script);
	/* Beyond ASCII only in transactions that are. */
	if (_i == 1)
		m.flags |= ENVELOPE_SMTPUTF8;
	deliver(&m);
	for (size_t i = 0; i < 3; i++) {
		expect(i, OUTCOME_DELIVERED, 250, "2.0.0");
		ck_assert_uint_eq(told[i].handover, HANDOVER_DSN);
	}
	ck_assert_ptr_nonnull(strstr(heard(&servers[0]),
	    _i == 0 ? "MAIL FROM:<a@b.test> RET=HDRS ENVID=Q+3D1+20+2B\r\n"
		      "RCPT TO:<u@d.test> NOTIFY=SUCCESS,FAILURE,DELAY "
		      "ORCPT=rfc822;U+2Bx@old.test\r\n"
		      "RCPT TO:<v@d.test> NOTIFY=NEVER "
		      "ORCPT=utf-8;\\x{F6}\\x{3D}\\x{5C}@old.test\r\n"
		      "RCPT TO:<w@d.test>\r\n" :
		      "RCPT TO:<v@d.test> NOTIFY=NEVER "
		      "ORCPT=utf-8;\xc3\xb6\\x{3D}\\x{5C}@old.test\r\n"));
}

END_TEST

START_TEST(not_offered)
{
	static const struct step script[] = { HELLO_PLAIN, MAIL, RCPT, RCPT,
		RCPT, DATA, DOT, NOTHING };

	server_start(&servers[0], script);
	deliver(&WISHES);
	for (size_t i = 0; i < 3; i++) {
		expect(i, OUTCOME_DELIVERED, 250, "2.0.0");
		ck_assert_uint_eq(told[i].handover, HANDOVER_RELAYED);
	}
	ck_assert_ptr_nonnull(strstr(heard(&servers[0]),
	    "MAIL FROM:<a@b.test>\r\nRCPT TO:<u@d.test>\r\n"));
}

END_TEST

/* Longer than others take once it is escaped: left out. */
START_TEST(too_long_once_escaped)
{
	static const struct step script[] = { HELLO_DSN, MAIL, RCPT, RCPT, RCPT,
		DATA, DOT, NOTHING };
	char envid[ENVELOPE_ENVID_MAX + 1], orcpt[ENVELOPE_ORCPT_MAX + 1];
	struct mail m = WISHES;

	memset(envid, '+', sizeof(envid));
	envid[sizeof(envid) - 1] = '\0';
	memset(orcpt, '=', sizeof(orcpt));
	memcpy(orcpt, "rfc822;", 7);
	orcpt[sizeof(orcpt) - 1] = '\0';
	m.envid = envid;
	m.orcpt[0] = orcpt;
	server_start(&servers[0], script);
	deliver(&m);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_ptr_nonnull(strstr(heard(&servers[0]),
	    "MAIL FROM:<a@b.test> RET=HDRS\r\n"
	    "RCPT TO:<u@d.test> NOTIFY=SUCCESS,FAILURE,DELAY\r\n"));
}

END_TEST

/* A promise in the clear is none (RFC 8689 4.2.1). */
START_TEST(requiretls)
{
	static const struct step script[] = { GREET,
		{ "EHLO", "250-mx.test\r\n250 REQUIRETLS\r\n", 0 }, NOTHING };
	struct mail m = WISHES;

	server_start(&servers[0], script);
	m.flags = ENVELOPE_REQUIRETLS;
	deliver(&m);
	for (size_t i = 0; i < 3; i++)
		expect(i, OUTCOME_FAILED, 0, "5.7.30");
	ck_assert_str_eq(told[0].reply, "the next hop does not offer STARTTLS");
	ck_assert_ptr_null(strstr(heard(&servers[0]), "MAIL"));
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "passed on", passed_on, 2 },
		{ "not offered", not_offered, 1 },
		{ "too long", too_long_once_escaped, 1 },
		{ "requiretls", requiretls, 1 },
	};

	return run_tests("dsn_out", tests, sizeof(tests) / sizeof(tests[0]));
}
