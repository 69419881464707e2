/* What filters are told, and who claims to have checked a mail. */
#include <check.h>
#include <stdlib.h>

#include "smtpd/auth_results.h"
#include "smtpd/facts.h"

static struct facts f;

static void
setup(void)
{
	facts_init(&f);
}

static void
teardown(void)
{
	facts_clear(&f);
}

#define IS(view, text) ck_assert(str_eq((view), str_of(text)))

START_TEST(gateway)
{
	struct addr lo, eth;

	addr_parse(STR("127.0.0.1"), &lo);
	addr_parse(STR("192.0.2.9"), &eth);
	facts_set_gateway(&f, STR("mx"), STR(""), STR("[2001:db8::1]:25"), &lo);
	IS(f.m.hostname, "mx");
	IS(f.m.daemon_name, "[2001:db8::1]:25");
	IS(f.m.daemon_addr, "2001:db8::1");
	IS(f.m.daemon_port, "25");
	IS(f.m.if_addr, "");
	IS(f.m.if_name, "");
	facts_set_gateway(&f, STR("mx"), STR("edge"), STR("0.0.0.0:587"), &eth);
	IS(f.m.daemon_name, "edge");
	IS(f.m.daemon_addr, "0.0.0.0");
	IS(f.m.daemon_port, "587");
	IS(f.m.if_addr, "192.0.2.9");
	IS(f.m.if_name, "mx");
	facts_set_gateway(&f, STR("mx"), STR(""), STR("submit"), NULL);
	IS(f.m.daemon_name, "submit");
	IS(f.m.daemon_addr, "");
	IS(f.m.daemon_port, "");
}

END_TEST

static void
client(const char *addr, enum client_name state, const char *name)
{
	struct addr a = { .family = ADDR_LOCAL };

	if (addr != NULL)
		addr_parse(str_of(addr), &a);
	facts_set_client(&f, &a, 4242, state, str_of(name));
}

START_TEST(clients)
{
	client("192.0.2.1", CLIENT_NAME_CONFIRMED, "a.example");
	IS(f.m.client_addr, "192.0.2.1");
	IS(f.m.client_port, "4242");
	IS(f.m.client_name, "a.example");
	IS(f.m.client_ptr, "a.example");
	IS(f.m.client_resolve, "OK");
	IS(f.m.trace, "a.example [192.0.2.1]");
	client("2001:db8::1", CLIENT_NAME_UNCONFIRMED, "");
	IS(f.m.client_addr, "IPv6:2001:db8::1");
	IS(f.m.client_name, "[IPv6:2001:db8::1]");
	IS(f.m.client_ptr, "unknown");
	IS(f.m.client_resolve, "FORGED");
	IS(f.m.trace, "unknown [2001:db8::1]");
	client("192.0.2.1", CLIENT_NAME_UNCONFIRMED, "bank.example");
	IS(f.m.client_name, "[192.0.2.1]");
	IS(f.m.client_ptr, "bank.example");
	IS(f.m.client_resolve, "FORGED");
	IS(f.m.trace, "bank.example [192.0.2.1] (may be forged)");
	client("192.0.2.1", CLIENT_NAME_FAULT, "slow.example");
	IS(f.m.client_name, "[192.0.2.1]");
	IS(f.m.client_ptr, "slow.example");
	IS(f.m.client_resolve, "TEMP");
	IS(f.m.trace, "slow.example [192.0.2.1] (may be forged)");
	client("192.0.2.1", CLIENT_NAME_NONE, "");
	IS(f.m.client_resolve, "FAIL");
	client("192.0.2.1", CLIENT_NAME_FAULT, "");
	IS(f.m.client_resolve, "TEMP");
	client(NULL, CLIENT_NAME_NONE, "");
	IS(f.m.client_addr, "127.0.0.1");
	IS(f.m.client_port, "0");
	IS(f.m.client_name, "localhost");
	IS(f.m.client_resolve, "OK");
	IS(f.m.trace, "localhost [127.0.0.1]");
	ck_assert_uint_eq(f.m.port, 0);
}

END_TEST

START_TEST(envelope)
{
	struct action box = { .kind = ACTION_MAILDIR };

	facts_set_mail(
	    &f, STR("ID"), STR("a@B"), STR("SIZE=1 BODY=8BITMIME"), STR("a@b"));
	IS(f.m.msgid, "ID");
	IS(f.m.mail, "<a@B>");
	IS(f.m.mail_args, "SIZE=1 BODY=8BITMIME");
	IS(f.m.mail_addr, "a@b");
	IS(f.m.mail_host, "b");
	facts_set_mail(&f, STR("ID"), STR("<>"), STR(""), STR(""));
	IS(f.m.mail, "<>");
	IS(f.m.mail_addr, "");
	IS(f.m.mail_host, "");
	facts_set_rcpt(&f, STR("<\"a@b\"@C>"), STR("\"a@b\"@c"), &box);
	IS(f.m.rcpt, "<\"a@b\"@C>");
	IS(f.m.rcpt_addr, "\"a@b\"@c");
	IS(f.m.rcpt_host, "c");
	IS(f.m.rcpt_mailer, "local");
	facts_set_refused(&f, STR("<a@b>"), STR("550 5.1.1 No such user"));
	IS(f.m.rcpt_addr, "No such user");
	IS(f.m.rcpt_host, "5.1.1");
	IS(f.m.rcpt_mailer, "error");
	facts_set_refused(&f, STR("<a@b>"), STR("550 No"));
	IS(f.m.rcpt_addr, "No");
	IS(f.m.rcpt_host, "");
}

END_TEST

/* Nothing ends a text early, or a line. */
START_TEST(harmless)
{
	facts_set_helo(&f, STR("a\0b\r\nc"));
	IS(f.m.helo, "a b  c");
	facts_set_content(&f,
	    STR("A: b\r\nmessage-id:\r\n\t<1@x>\r\n\t \r\nMessage-Id: 2\r\n"));
	ck_assert(str_starts_nocase(
	    (struct str){ f.m.msg_id.p + 3, f.m.msg_id.len - 3 },
	    STR("<1@x>")));
	ck_assert_uint_eq(str_find(f.m.msg_id, '\n'), f.m.msg_id.len);
	facts_set_content(&f, STR("A: b\r\n\r\n"));
	IS(f.m.msg_id, "");
}

END_TEST

static const struct {
	const char *value;
	bool ours;
} results[] = {
	{ " mx.example; spf=pass", true },
	{ "mx.example;none", true },
	{ " MX.Example", true },
	{ "\r\n\tmx.example\r\n\t1; a=b", true },
	{ " (a (nested\\) one)) mx.example(x); a=b", true },
	{ " \"mx.example\"; a=b", true },
	{ " \"m\\x.exa\r\n mple\"; a=b", true },
	{ " mx.example.; a=b", true },
	{ " mx.example.org; a=b", false },
	{ " x.mx.example; a=b", false },
	{ " other; mx.example", false },
	{ " (mx.example) other; a=b", false },
	{ " \"mx.exampl\"", false },
	{ " \"mx.example.org\"", false },
	{ " (mx.example", false },
	{ "", false },
	{ " ", false },
	{ " \"", false },
	{ " ;mx.example", false },
};

START_TEST(claims)
{
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		ck_assert_msg(auth_results_by(str_of(results[i].value),
				  STR("mx.example")) == results[i].ours,
		    "%s", results[i].value);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { gateway, clients, envelope, harmless,
		claims };
	Suite *s = suite_create("facts");
	TCase *t = tcase_create("facts");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
