/*
 * What an administrator asks the resolver: single questions, where mail would
 * go, numbers. The test is control at the other end of a channel, and the
 * name server; what comes back is put down as lines.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "tests/unit/resolver/asked.h"

/* clang-format off */
static const struct ns_record records[] = {
	{ "a.example", DNS_MX, "20 mx2.a.example", 0, 0 },
	{ "a.example", DNS_MX, "10 mx1.a.example", 0, 0 },
	{ "mx1.a.example", DNS_A, "192.0.2.1", 0, 0 },
	{ "mx2.a.example", DNS_AAAA, "2001:db8::2", 0, 0 },
	{ "null.example", DNS_MX, "0 ", 0, 0 },
	{ "fault.example", DNS_MX, NULL, 0, NS_SERVFAIL },
	{ "hub.example", DNS_A, "192.0.2.5", 0, 0 },
	{ "txt.example", DNS_TXT, "v=spf1 \"x\" \\ \r\n\033[2J\xc3\xa4", 0, 0 },
	{ "alias.example", DNS_CNAME, "hub.example", 0, 0 },
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, "mx1.a.example", 0, 0 },
	{ "silent.example", DNS_MX, NULL, 0, NS_MUTE },
	{ NULL, 0, NULL, 0, 0 },
};

/* clang-format on */

/* --- the configuration --- */

enum { ACTIONS = 5, RULES = 8 };

static void
add_actions(struct config *c)
{
	static const struct {
		enum action_kind kind;
		const char *name, *hops;
	} actions[ACTIONS] = {
		{ ACTION_RELAY, "out", NULL },
		{ ACTION_RELAY, "hub",
		    "smtp://127.0.0.1:25 smtp://10.0.0.5:26 "
		    "smtp://[2001:db8::9] smtp://hub.example "
		    "mx://silly..name:25 smtp://224.0.0.1" },
		{ ACTION_RELAY, "mapped", NULL },
		{ ACTION_MAILDIR, "box", NULL },
		{ ACTION_DISCARD, "drop", NULL },
	};

	c->actions = xcalloc(ACTIONS, sizeof(*c->actions));
	c->nactions = ACTIONS;
	for (size_t i = 0; i < ACTIONS; i++) {
		c->actions[i].id = (uint32_t)i;
		c->actions[i].kind = actions[i].kind;
		c->actions[i].name = xstrdup(actions[i].name);
		c->actions[i].mx_port = 25;
		if (actions[i].hops != NULL)
			c->actions[i].hops = xstrdup(actions[i].hops);
	}
	c->actions[3].base = xstrdup("/var/mail");
	c->actions[3].path = xstrdup("%{rcpt.user}");
}

/* One for a domain each, with a table of its own. */
static void
add_rules(struct config *c)
{
	static const struct {
		uint32_t line;
		const char *domain;
		int action; /* -1: rejected */
	} rules[RULES] = {
		{ 10, "hub.test", 1 },
		{ 11, "mapped.test", 2 },
		{ 12, "unmapped.test", 2 },
		{ 13, "box.test", 3 },
		{ 14, "drop.test", 4 },
		{ 15, "no.test", -1 },
		{ 16, "nothing.test", -1 },
		{ 30, ".example", 0 },
	};

	c->tables = xcalloc(RULES, sizeof(struct table *));
	c->ntables = RULES;
	c->rules = xcalloc(RULES, sizeof(*c->rules));
	c->nrules = RULES;
	for (size_t i = 0; i < RULES; i++) {
		char name[32];
		struct rule *r = &c->rules[i];

		snprintf(name, sizeof(name), "t%zu", i);
		c->tables[i] = table(name, rules[i].domain, NULL);
		r->line = rules[i].line;
		r->text = xstrdup("match ...");
		r->conds = xcalloc(1, sizeof(*r->conds));
		r->conds[0].kind = COND_FOR_DOMAIN;
		r->conds[0].table = c->tables[i];
		r->nconds = 1;
		r->verdict = VERDICT_REJECT;
		if (rules[i].action < 0)
			continue;
		r->verdict = VERDICT_ACTION;
		r->action = &c->actions[rules[i].action];
	}
	c->rules[5].reply = xstrdup("550 5.1.1 nobody");
}

static struct config *
make_config(void)
{
	struct config *c = config_new();

	free(c->hostname);
	c->hostname = xstrdup("us.example");
	c->domain = xstrdup("box.test");
	c->listeners = xcalloc(1, sizeof(*c->listeners));
	c->nlisteners = 1;
	c->listeners[0].port = 25;
	addr_parse(STR("127.0.0.1"), &c->listeners[0].addr);
	add_actions(c);
	add_rules(c);
	/* A table of next hops that has none of the domains asked for. */
	c->actions[2].routes = c->tables[RULES - 1];
	return c;
}

static void
expect_resolved(const char *name, const char *type, const char *wanted)
{
	struct ask_resolve m = { .name = str_of(name), .type = str_of(type) };

	expect(TYPE_ask_resolve, &m, wanted);
}

static void
expect_routes(const char *address, const char *wanted)
{
	struct ask_routes m = { .address = str_of(address) };

	expect(TYPE_ask_routes, &m, wanted);
}

static void
setup(void)
{
	begin_asking(records, make_config());
}

START_TEST(single_questions)
{
	expect_resolved("a.example", "mx",
	    "a.example MX ok\n300 20 mx2.a.example\n300 10 mx1.a.example\nok ");
	expect_resolved(
	    "mx1.a.example.", "A", "mx1.a.example A ok\n300 192.0.2.1\nok ");
	expect_resolved("mx2.a.example", "AAAA",
	    "mx2.a.example AAAA ok\n300 2001:db8::2\nok ");
	expect_resolved("192.0.2.1", "PTR",
	    "1.2.0.192.in-addr.arpa PTR ok\n300 mx1.a.example\nok ");
	expect_resolved("alias.example", "CNAME",
	    "alias.example CNAME ok\n300 hub.example\nok ");
	expect_resolved(
	    "null.example", "MX", "null.example MX ok\n300 0 .\nok ");
	expect_resolved("txt.example", "TXT",
	    "txt.example TXT ok\n300 \"v=spf1 \\\"x\\\" \\\\ \\013\\010\\027[2J"
	    "\\195\\164\"\nok ");
	expect_resolved("a.example", "TXT", "a.example TXT nodata\nok ");
	expect_resolved("b.example", "A", "b.example A nxdomain\nok ");
	expect_resolved("a..b", "A", "a..b A nxdomain\nok ");
	expect_resolved(
	    "fault.example", "MX", "fault.example MX servfail\nok ");
	expect_resolved("a.example", "ANY",
	    "refused unknown type; there are A AAAA CNAME MX NS PTR TLSA TXT");
}

END_TEST

/* The rules in front of the last but one. */
#define PASSED_1 "not 10 does not hold: for domain t0\n"
#define PASSED_2 PASSED_1 "not 11 does not hold: for domain t1\n"
#define PASSED_3 PASSED_2 "not 12 does not hold: for domain t2\n"
#define PASSED_4 PASSED_3 "not 13 does not hold: for domain t3\n"
#define PASSED_5 PASSED_4 "not 14 does not hold: for domain t4\n"
#define PASSED_7                                         \
	PASSED_5 "not 15 does not hold: for domain t5\n" \
		 "not 16 does not hold: for domain t6\n"

START_TEST(where_mail_would_go)
{
	expect_routes("x@a.example",
	    "line 30 [out] []\n" PASSED_7 "10 mx1.a.example [192.0.2.1]:25 \n"
	    "20 mx2.a.example [2001:db8::2]:25 \nok ");
	expect_routes("<X@A.Example>",
	    "line 30 [out] []\n" PASSED_7 "10 mx1.a.example [192.0.2.1]:25 \n"
	    "20 mx2.a.example [2001:db8::2]:25 \nok ");
	expect_routes("x@null.example",
	    "line 30 [out] []\n" PASSED_7 "0 null.example []:25 null.example "
	    "takes no mail (null MX)\nok ");
	expect_routes("x@fault.example",
	    "line 30 [out] []\n" PASSED_7 "0 fault.example []:25 MX lookup of "
	    "fault.example: servfail\nok ");
	expect_routes("x@hub.test",
	    "line 10 [hub] []\n"
	    "0 127.0.0.1 []:25 a listener of this very gateway\n"
	    "0 10.0.0.5 [10.0.0.5]:26 \n"
	    "0 2001:db8::9 [2001:db8::9]:25 \n"
	    "0 hub.example [192.0.2.5]:25 \n"
	    "0 mx://silly..name:25 []:0 `mx://silly..name:25': bad address or "
	    "host name\n"
	    "0 224.0.0.1 []:25 nobody can be there\nok ");
	expect_routes("x@unmapped.test", "line 12 [mapped] []\n" PASSED_2
					 "0 unmapped.test []:0 the table of "
					 "next hops does not have it\nok ");
	expect_routes("joe@box.test", "line 13 [box] []\n" PASSED_3
				      "0 /var/mail/%{rcpt.user} []:0 \nok ");
	expect_routes("joe", "line 13 [box] []\n" PASSED_3
			     "0 /var/mail/%{rcpt.user} []:0 \nok ");
	expect_routes("x@drop.test", "line 14 [drop] []\n" PASSED_4 "ok ");
	expect_routes(
	    "x@no.test", "line 15 [] [550 5.1.1 nobody]\n" PASSED_5 "ok ");
	expect_routes("x@elsewhere.test",
	    "line 0 [] [550 5.7.1 Relaying denied]\n" PASSED_7
	    "not 30 does not hold: for domain t7\nok ");
	expect_routes("", "refused not an address");
	expect_routes("<>", "refused not an address");
	expect_routes("a@b c", "refused not an address");
	expect_routes("a@@b", "refused not an address");
}

END_TEST

START_TEST(numbers)
{
	struct ask_stats m = { 0 };

	buf_reset(&lines);
	nanswers = 0;
	channel_ask(control, TYPE_ask_stats, &m, on_answer, NULL);
	while (nanswers == 0)
		loop_run(loop);
	buf_add_char(&lines, '\0');
	ck_assert_ptr_nonnull(strstr(lines.p, "resolver.queries\n"));
	ck_assert_ptr_nonnull(strstr(lines.p, "resolver.cache_hits\n"));
	ck_assert_ptr_nonnull(strstr(lines.p, "resolver.under_way\n"));
	ck_assert_ptr_nonnull(strstr(lines.p, "log.lost\n"));
}

END_TEST

START_TEST(questions_for_others)
{
	struct ask_queue queue = { 0 };
	struct ask_reload reload = { 0 };

	expect(
	    TYPE_ask_queue, &queue, "refused this process does not know that");
	expect(TYPE_ask_reload, &reload,
	    "refused this process does not know that");
}

END_TEST

START_TEST(control_dies)
{
	struct ask_routes routes = { .address = STR("x@silent.example") };
	struct ask_resolve resolve = { .name = STR("silent.example"),
		.type = STR("MX") };

	channel_ask(control, TYPE_ask_routes, &routes, on_answer, NULL);
	channel_ask(control, TYPE_ask_resolve, &resolve, on_answer, NULL);
	expect_resolved("b.example", "A",
	    "line 30 [out] []\n" PASSED_7 "b.example A nxdomain\nok ");
	channel_free(&control);
	while (nfaults < 2)
		loop_run(loop);
	connect_control(0);
	expect_resolved("b.example", "A", "b.example A nxdomain\nok ");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("explain");
	TCase *c = tcase_create("all");

	log_set_level(LOG_LEVEL_WARN);
	tcase_add_checked_fixture(c, setup, end_asking);
	tcase_add_test(c, single_questions);
	tcase_add_test(c, where_mail_would_go);
	tcase_add_test(c, numbers);
	tcase_add_test(c, questions_for_others);
	tcase_add_test(c, control_dies);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
