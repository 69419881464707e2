/*
 * Which rule decides about a client that is only described: what is asked for
 * it, what is not, and whoever asked may be gone before the answers come. The
 * test is control and the name server.
 */
#include <check.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "tests/unit/resolver/asked.h"

/* clang-format off */
static const struct ns_record records[] = {
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, "mx.example", 0, 0 },
	{ "mx.example", DNS_A, "192.0.2.1", 0, 0 },
	{ "2.2.0.192.in-addr.arpa", DNS_PTR, "liar.example", 0, 0 },
	{ "liar.example", DNS_A, "192.0.2.99", 0, 0 },
	{ "3.2.0.192.in-addr.arpa", DNS_PTR, NULL, 0, NS_SERVFAIL },
	{ "3.2.0.192.zen.example", DNS_A, NULL, 0, NS_SERVFAIL },
	{ "4.2.0.192.zen.example", DNS_A, "127.0.0.2", 0, 0 },
	{ "5.2.0.192.in-addr.arpa", DNS_PTR, NULL, 0, NS_MUTE },
	{ "5.2.0.192.zen.example", DNS_A, NULL, 0, NS_MUTE },
	{ NULL, 0, NULL, 0, 0 },
};

/* clang-format on */

static struct cond *
one_cond(struct rule *r, enum cond_kind kind)
{
	r->conds = xcalloc(1, sizeof(*r->conds));
	r->nconds = 1;
	r->conds[0].kind = kind;
	return &r->conds[0];
}

/* 1: tls is turned away, 2: a list's, 3: whose name lies, 4: drops for
 * d.example, 5: our administrator's mail. */
static struct config *
make_config(void)
{
	struct config *c = config_new();
	struct cond *cond;

	free(c->hostname);
	c->hostname = xstrdup("us.example");
	c->domain = xstrdup("ours.example");
	c->postmaster = xstrdup("admin@d.example");
	c->servers[0] = ns.address;
	c->nservers = 1;
	c->tables = xcalloc(3, sizeof(struct table *));
	c->ntables = 3;
	c->tables[0] = table("lists", "zen.example", "3");
	c->tables[1] = table("t", "d.example", NULL);
	c->tables[2] = table("trusted", "192.0.2.0/28", NULL);
	c->dnsbls[0] = c->tables[0];
	c->ndnsbls = 1;
	c->actions = xcalloc(1, sizeof(*c->actions));
	c->nactions = 1;
	c->actions[0].kind = ACTION_DISCARD;
	c->actions[0].name = xstrdup("drop");
	c->rules = xcalloc(4, sizeof(*c->rules));
	c->nrules = 4;
	for (uint32_t i = 0; i < 4; i++) {
		c->rules[i].line = i + 1;
		c->rules[i].text = xstrdup("match ...");
		c->rules[i].verdict = VERDICT_REJECT;
	}
	one_cond(&c->rules[0], COND_TLS);
	cond = one_cond(&c->rules[1], COND_DNSBL);
	cond->table = c->tables[0];
	cond->score = 3;
	c->rules[1].verdict = VERDICT_TEMPFAIL;
	cond = one_cond(&c->rules[2], COND_FCRDNS);
	cond->negate = true;
	c->rules[2].reply = xstrdup("550 5.7.25 no name");
	cond = one_cond(&c->rules[3], COND_FOR_DOMAIN);
	cond->table = c->tables[1];
	c->rules[3].verdict = VERDICT_ACTION;
	c->rules[3].action = &c->actions[0];
	return c;
}

static void
expect_match(const struct ask_match *m, const char *wanted)
{
	expect(TYPE_ask_match, m, wanted);
}

static void
setup(void)
{
	begin_asking(records, make_config());
}

#define CLIENT(address)                                             \
	(struct ask_match)                                          \
	{                                                           \
		.client = STR(address), .from = STR("a@b.example"), \
		.to = STR("x@d.example")                            \
	}
#define NOT_TLS "not 1 does not hold: tls\n"

START_TEST(names_and_lists)
{
	struct ask_match m = CLIENT("192.0.2.1");

	expect_match(&m,
	    "line 4 [drop] []\n" NOT_TLS
	    "not 2 does not hold: dnsbl lists score 3 (score 0)\n"
	    "not 3 does not hold: !fcrdns (mx.example, confirmed)\nok ");
	m = CLIENT("192.0.2.2");
	expect_match(&m,
	    "line 3 [] [550 5.7.25 no name]\n" NOT_TLS
	    "not 2 does not hold: dnsbl lists score 3 (score 0)\nok ");
	/* Neither can be learned: the list counts nothing, the name is needed.
	 */
	m = CLIENT("192.0.2.3");
	expect_match(&m,
	    "line 3 [] [451 4.4.3 Your address could not be looked up, try "
	    "again later]\n" NOT_TLS
	    "not 2 does not hold: dnsbl lists score 3 (score 0, 1 silent)\n"
	    "ok ");
	m = CLIENT("192.0.2.4");
	expect_match(
	    &m, "line 2 [] [451 4.7.1 Try again later]\n" NOT_TLS "ok ");
	/* What is said is not asked for. */
	m.client_name = STR("mx.example");
	m.tls = 1;
	expect_match(&m, "line 1 [] [550 5.7.1 Refused by policy]\nok ");
}

END_TEST

START_TEST(nobody_is_asked)
{
	struct ask_match m = CLIENT("local");
	size_t before = ns.nasked;

	expect_match(&m,
	    "line 3 [] [550 5.7.25 no name]\n" NOT_TLS
	    "not 2 does not hold: dnsbl lists score 3 (lists are not "
	    "asked about it)\nok ");
	ck_assert_uint_eq(ns.nasked, before);
	/* Neither are lists about those that are trusted. */
	way_config()->allow_from = way_config()->tables[2];
	m = CLIENT("192.0.2.4");
	m.client_name = STR("any.example");
	expect_match(&m,
	    "line 4 [drop] []\n" NOT_TLS
	    "not 2 does not hold: dnsbl lists score 3 (lists are not asked "
	    "about it)\n"
	    "not 3 does not hold: !fcrdns (any.example, confirmed)\nok ");
	ck_assert_uint_eq(ns.nasked, before);
}

END_TEST

START_TEST(the_postmaster)
{
	struct ask_match m = CLIENT("192.0.2.4");

	/* From whomever; of us, and of whom no rule takes mail from all. */
	m.to = STR("PostMaster@ours.example");
	/* The rules say of <> on the submit socket that it has no name. */
	free(way_config()->rules[2].conds);
	way_config()->rules[2].conds = NULL;
	one_cond(&way_config()->rules[2], COND_EARLY_TALKER);
	expect_match(&m, "line 4 [drop] [] to admin@d.example\nok ");
	m.to = STR("postmaster");
	expect_match(&m, "line 4 [drop] [] to admin@d.example\nok ");
	m.to = STR("postmaster@us.example");
	expect_match(&m, "line 4 [drop] [] to admin@d.example\nok ");
	m.to = STR("postmaster@d.example");
	expect_match(&m, "line 4 [drop] [] to admin@d.example\nok ");
	m.to = STR("postmaster@far.example");
	expect_match(
	    &m, "line 2 [] [451 4.7.1 Try again later]\n" NOT_TLS "ok ");
	/* Nothing takes the administrator's: it is any mail. */
	free(way_config()->postmaster);
	way_config()->postmaster = xstrdup("admin@far.example");
	m.to = STR("postmaster@ours.example");
	expect_match(
	    &m, "line 2 [] [451 4.7.1 Try again later]\n" NOT_TLS "ok ");
}

END_TEST

START_TEST(what_is_no_question)
{
	struct ask_match m = CLIENT("banana");

	expect_match(&m, "refused the client is not an address");
	m = CLIENT("192.0.2.1");
	m.from = STR("a@@b");
	expect_match(&m, "refused the sender is not an address");
	m.from = STR("");
	m.to = STR("");
	expect_match(&m, "refused the recipient is not an address");
	m.to = STR("<>");
	expect_match(&m, "refused the recipient is not an address");
	way_set_config(NULL);
	expect_match(&m, "refused there is no configuration yet");
}

END_TEST

/* Name servers that are silent are waited for by nobody. */
START_TEST(control_dies)
{
	struct ask_match m = CLIENT("192.0.2.5");

	channel_ask(control, TYPE_ask_match, &m, on_answer, NULL);
	m.client = STR("192.0.2.2");
	expect_match(&m,
	    "line 3 [] [550 5.7.25 no name]\n" NOT_TLS
	    "not 2 does not hold: dnsbl lists score 3 (score 0)\nok ");
	channel_free(&control);
	while (nfaults < 1)
		loop_run(loop);
	connect_control(0);
	expect_match(&m,
	    "line 3 [] [550 5.7.25 no name]\n" NOT_TLS
	    "not 2 does not hold: dnsbl lists score 3 (score 0)\nok ");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("matching");
	TCase *c = tcase_create("all");

	log_set_level(LOG_LEVEL_WARN);
	tcase_add_checked_fixture(c, setup, end_asking);
	tcase_add_test(c, names_and_lists);
	tcase_add_test(c, nobody_is_asked);
	tcase_add_test(c, the_postmaster);
	tcase_add_test(c, what_is_no_question);
	tcase_add_test(c, control_dies);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
