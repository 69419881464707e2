/* XCLIENT: another client's session on the same connection. */
#include "tests/unit/smtpd/fake_names.h"
#include "tests/unit/smtpd/sources_table.h"
#include "tests/unit/smtpd/talk.h"

static struct table *gateways;

static void
allow(void)
{
	gateways = sources_table("192.0.2.0/24");
	h.config->listeners[0].xclient_from = gateways;
}

static void
disallow(void)
{
	h.config->listeners[0].xclient_from = NULL;
	table_free(&gateways);
}

START_TEST(who_may)
{
	begin();
	ck_assert_ptr_null(strstr(h.got.p, "XCLIENT"));
	TALK("XCLIENT ADDR=198.51.100.7\r\n", "502");
	harness_hang_up(&h);
	allow();
	begin();
	ck_assert_ptr_nonnull(strstr(h.got.p,
	    "250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR "
	    "DESTPORT\r\n"));
	harness_hang_up(&h);
	h.from = "198.51.100.1";
	begin();
	ck_assert_ptr_null(strstr(h.got.p, "XCLIENT"));
	TALK("XCLIENT ADDR=198.51.100.7\r\n", "550");
	harness_hang_up(&h);
	/* Who a balancer lets through is not the balancer. */
	h.from = NULL;
	h.config->listeners[0].flags |= LISTENER_PROXY;
	harness_connect_to(&h, 0, NULL);
	TALK("PROXY TCP4 192.0.2.3 192.0.2.25 99 25\r\n", "220");
	TALK("EHLO x\r\n", "250");
	ck_assert_ptr_null(strstr(h.got.p, "XCLIENT"));
	TALK("XCLIENT ADDR=198.51.100.7\r\n", "550");
	disallow();
}

END_TEST

START_TEST(another_client)
{
	allow();
	accept_all();
	begin();
	TALK("XCLIENT NAME=c.example ADDR=198.51.100.7 PORT=99 "
	     "DESTADDR=203.0.113.9 DESTPORT=25\r\n",
	    "220");
	/* As new: nothing holds of what was said before. */
	TALK("MAIL FROM:<a@b>\r\n", "503");
	TALK("EHLO there.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
	     "DATA\r\n",
	    "250 250 250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.client, "198.51.100.7");
	buf_add_char(&h.fake.content, '\0');
	ck_assert_ptr_nonnull(strstr(
	    h.fake.content.p, "from there.example (c.example [198.51.100.7])"));
	/* And again, by the same gateway. */
	TALK("XCLIENT ADDR=IPV6:2001:db8::9 HELO=six.example PROTO=SMTP "
	     "NAME=[UNAVAILABLE]\r\n",
	    "220");
	/* HELO was said to the gateway. */
	TALK("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", "250 250 354");
	TALK("x\r\n.\r\n", "250");
	ck_assert_str_eq(h.fake.client, "2001:db8::9");
	buf_add_char(&h.fake.content, '\0');
	ck_assert_ptr_nonnull(strstr(h.fake.content.p,
	    "from six.example (unknown [IPv6:2001:db8::9])\r\n"
	    "\tby mx.example with SMTP id "));
	disallow();
}

END_TEST

START_TEST(syntax)
{
	static const char *const bad[] = { "", "ADDR", "ADDR=", "ADDR=x",
		"ADDR=1.2.3", "FOO=1", "PORT=65536", "PORT=-1",
		"PORT=", "PROTO=LMTP", "HELO=a+20b", "HELO=-", "NAME=a b",
		"NAME=a..b", "HELO=x+0D+0A", "HELO=+", "LOGIN=+0", "LOGIN=+zz",
		"ADDR=1.2.3.4 ADDR=1.2.3.5", "ADDR=1.2.3.4 =x",
		"ADDR=1.2.3.4 NAME", "DESTADDR=here", "DESTPORT=x",
		"ADDR=[1.2.3.4]x" };

	allow();
	h.config->limits.errors = h.config->limits.soft_errors = 100;
	begin();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char line[200];

		snprintf(line, sizeof(line), "XCLIENT %s\r\n", bad[i]);
		talk_bytes(str_of(line), "501", (int)i);
	}
	TALK("MAIL FROM:<a@b>\r\n", "250");
	TALK("XCLIENT ADDR=198.51.100.7\r\n", "503");
	TALK("RSET\r\nXCLIENT ADDR=[TEMPUNAVAIL] NAME=[TEMPUNAVAIL]\r\n",
	    "250 220");
	TALK("xclient addr=ipv6:::1 login=[unavailable]\r\n", "220");
	disallow();
}

END_TEST

/* The name is looked up when the gateway does not say it. */
START_TEST(name)
{
	struct rule *r;

	allow();
	r = harness_rule(h.config, VERDICT_REJECT, "550 5.7.1 nameless");
	r->conds = xcalloc(1, sizeof(*r->conds));
	r->conds[0].kind = COND_FCRDNS;
	r->conds[0].negate = true;
	r->nconds = 1;
	accept_all();
	names_start(&h, CLIENT_NAME_CONFIRMED, "known.example");
	begin();
	ck_assert_str_eq(names.address, "192.0.2.1");
	TALK("XCLIENT ADDR=198.51.100.7\r\n", "220");
	ck_assert_str_eq(names.address, "198.51.100.7");
	ck_assert_uint_eq(names.nasked, 2);
	TALK("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\n",
	    "250 250 250 250");
	TALK("XCLIENT ADDR=198.51.100.8 NAME=[UNAVAILABLE]\r\n", "220");
	TALK("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\n",
	    "250 250 550 250");
	TALK("XCLIENT ADDR=198.51.100.9 NAME=[TEMPUNAVAIL]\r\n", "220");
	TALK("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\n",
	    "250 250 451 250");
	ck_assert_uint_eq(names.nasked, 2);
	names_stop(&h);
	disallow();
}

END_TEST

static const struct session *only;

static void
take(void *ctx, const struct session *s)
{
	(void)ctx;
	only = s;
}

START_TEST(login)
{
	allow();
	begin();
	TALK("XCLIENT LOGIN=Luke+2Bx@example.com\r\n", "220");
	sessions_each(take, NULL);
	ck_assert_str_eq(only->user, "luke+x@example.com");
	ck_assert_uint_eq(only->peer.family, ADDR_V4);
	TALK("XCLIENT ADDR=198.51.100.9\r\n", "220");
	sessions_each(take, NULL);
	ck_assert_ptr_null(only->user);
	ck_assert_str_eq(only->client_text, "198.51.100.9");
	disallow();
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { who_may, another_client, syntax, name,
		login };

	return run_tests("xclient", tests, sizeof(tests) / sizeof(tests[0]));
}
