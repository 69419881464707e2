/* The first rule that matches, over a configuration made by hand. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rules/rules.h"

static struct table *domains, *users, *nets, *senders, *helos;

static struct table *
list(const char *const *keys)
{
	struct table_builder *b = table_builder_new("list");
	int fd;

	for (; *keys != NULL; keys++)
		ck_assert_int_eq(
		    table_builder_add(b, str_of(*keys), NULL, NULL), 0);
	fd = table_builder_seal(&b, NULL);
	ck_assert_int_ge(fd, 0);
	return table_open(fd, "list", NULL);
}

static void
setup(void)
{
	static const char *const d[] = { "example.com", NULL };
	static const char *const u[] = { "joe@example.com", "postmaster@",
		NULL };
	static const char *const n[] = { "10.0.0.0/8", NULL };
	static const char *const s[] = { "<>", "@bad.example", NULL };
	static const char *const h[] = { ".dyn.example", NULL };

	domains = list(d);
	users = list(u);
	nets = list(n);
	senders = list(s);
	helos = list(h);
}

static void
teardown(void)
{
	table_free(&domains);
	table_free(&users);
	table_free(&nets);
	table_free(&senders);
	table_free(&helos);
}

static struct rules_query
query(const char *client, const char *local, const char *domain)
{
	struct rules_query q = { .rcpt_local = str_of(local),
		.rcpt_domain = str_of(domain),
		.from_local = STR("a"),
		.from_domain = STR("b.example"),
		.helo = STR("c.example"),
		.tag = STR("") };

	if (client == NULL)
		q.client.family = ADDR_LOCAL;
	else
		ck_assert_int_eq(addr_parse(str_of(client), &q.client), 0);
	return q;
}

/* Does one condition hold, and its opposite not? */
static bool
holds(enum cond_kind kind, struct table *t, const struct rules_query *q)
{
	struct cond c = { .kind = kind, .table = t };
	struct rule r = { .conds = &c, .nconds = 1 };
	bool plain = rules_match(&r, q);

	c.negate = true;
	ck_assert(rules_match(&r, q) == !plain);
	return plain;
}

START_TEST(conditions)
{
	struct rules_query q = query("192.0.2.1", "joe", "example.com");
	struct rules_query ten = query("10.9.8.7", "jane", "Example.Com");
	struct rules_query loop = query("127.0.0.1", "postmaster", "x.example");
	struct rules_query local = query(NULL, "joe", "example.net");

	ck_assert(holds(COND_FROM_ANY, NULL, &q));
	ck_assert(holds(COND_FOR_ANY, NULL, &q));
	ck_assert(!holds(COND_FROM_LOCAL, NULL, &q));
	ck_assert(holds(COND_FROM_LOCAL, NULL, &loop));
	ck_assert(holds(COND_FROM_LOCAL, NULL, &local));
	ck_assert(!holds(COND_FROM_SOURCE, nets, &q));
	ck_assert(holds(COND_FROM_SOURCE, nets, &ten));
	ck_assert(!holds(COND_FROM_SOURCE, nets, &local));
	ck_assert(holds(COND_FOR_DOMAIN, domains, &ten));
	ck_assert(!holds(COND_FOR_DOMAIN, domains, &local));
	ck_assert(holds(COND_FOR_RCPT, users, &q));
	ck_assert(!holds(COND_FOR_RCPT, users, &ten));
	ck_assert(holds(COND_FOR_RCPT, users, &loop));
	ck_assert(!holds(COND_MAIL_FROM, senders, &q));
	q.from_local = STR("x");
	q.from_domain = STR("BAD.example");
	ck_assert(holds(COND_MAIL_FROM, senders, &q));
	q.from_local = q.from_domain = STR("");
	ck_assert(holds(COND_MAIL_FROM, senders, &q));
	ck_assert(!holds(COND_HELO, helos, &q));
	q.helo = STR("h17.DYN.example");
	ck_assert(holds(COND_HELO, helos, &q));
}

END_TEST

START_TEST(tags)
{
	char text[] = "submission";
	struct cond c = { .kind = COND_TAG, .text = text };
	struct rule r = { .conds = &c, .nconds = 1 };
	struct rules_query q = query("192.0.2.1", "joe", "example.com");

	ck_assert(!rules_match(&r, &q));
	q.tag = STR("submission");
	ck_assert(rules_match(&r, &q));
	q.tag = STR("submissio");
	ck_assert(!rules_match(&r, &q));
}

END_TEST

/* The issue of the contract's example: known users are taken, others of the
 * domain refused, and the network behind may send anywhere. */
START_TEST(first_match)
{
	struct cond for_users = { .kind = COND_FOR_RCPT, .table = users };
	struct cond for_domain = { .kind = COND_FOR_DOMAIN, .table = domains };
	struct cond from_nets = { .kind = COND_FROM_SOURCE, .table = nets };
	struct action inside = { .kind = ACTION_RELAY };
	struct rule rules[] = {
		{ .conds = &for_users, .nconds = 1, .action = &inside },
		{ .conds = &for_domain,
		    .nconds = 1,
		    .verdict = VERDICT_REJECT },
		{ .conds = &from_nets, .nconds = 1, .action = &inside },
	};
	struct config *c = config_new();
	struct rules_query q = query("192.0.2.1", "joe", "example.com");
	struct rules_verdict v;

	c->rules = rules;
	c->nrules = 3;
	v = rules_decide(c, &q);
	ck_assert_ptr_eq(v.rule, &rules[0]);
	ck_assert(v.by_rcpt);
	q = query("10.0.0.1", "jane", "example.com");
	v = rules_decide(c, &q);
	ck_assert_ptr_eq(v.rule, &rules[1]);
	ck_assert(v.by_rcpt);
	q = query("10.0.0.1", "jane", "example.net");
	v = rules_decide(c, &q);
	ck_assert_ptr_eq(v.rule, &rules[2]);
	ck_assert(!v.by_rcpt);
	q = query("192.0.2.1", "jane", "example.net");
	v = rules_decide(c, &q);
	ck_assert_ptr_null(v.rule);
	ck_assert(v.by_rcpt);
	/* All conditions, none, and order. */
	rules[0].nconds = 0;
	v = rules_decide(c, &q);
	ck_assert_ptr_eq(v.rule, &rules[0]);
	ck_assert(!v.by_rcpt);
	c->rules = NULL;
	c->nrules = 0;
	config_unref(&c);
}

END_TEST

/* --- conditions on the client's name --- */

static struct rules_query
named(enum client_name state, const char *name)
{
	struct rules_query q = query("192.0.2.1", "joe", "example.com");

	q.name_state = state;
	q.name = str_of(name);
	return q;
}

START_TEST(names)
{
	static const struct {
		enum client_name state;
		const char *name;
		bool rdns, fcrdns, helo_ptr;
	} cases[] = {
		{ CLIENT_NAME_NONE, "", false, false, false },
		{ CLIENT_NAME_UNCONFIRMED, "", true, false, false },
		{ CLIENT_NAME_UNCONFIRMED, "c.example", true, false, false },
		{ CLIENT_NAME_CONFIRMED, "d.example", true, true, false },
		{ CLIENT_NAME_CONFIRMED, "c.example.d", true, true, false },
		{ CLIENT_NAME_CONFIRMED, "c.example", true, true, true },
		{ CLIENT_NAME_CONFIRMED, "C.Example", true, true, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rules_query q = named(cases[i].state, cases[i].name);

		ck_assert(holds(COND_RDNS, NULL, &q) == cases[i].rdns);
		ck_assert(holds(COND_FCRDNS, NULL, &q) == cases[i].fcrdns);
		ck_assert(holds(COND_HELO_PTR, NULL, &q) == cases[i].helo_ptr);
	}
}

END_TEST

/* What nobody was asked about is a definite no. */
START_TEST(names_not_asked)
{
	struct rules_query q = { .client = { .family = ADDR_LOCAL } };

	ck_assert(!holds(COND_RDNS, NULL, &q));
	ck_assert(!holds(COND_FCRDNS, NULL, &q));
	ck_assert(!holds(COND_HELO_PTR, NULL, &q));
}

END_TEST

static const enum client_name open_states[] = { CLIENT_NAME_PENDING,
	CLIENT_NAME_FAULT };

/* Neither a condition nor its opposite holds; no rule is passed over that
 * could have been the one. */
START_TEST(names_open)
{
	static const enum cond_kind kinds[] = { COND_RDNS, COND_FCRDNS,
		COND_HELO_PTR };
	struct action inside = { .kind = ACTION_RELAY };
	struct config *c = config_new();

	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 4; k++) {
			struct cond cond = { .kind = kinds[i],
				.negate = k % 2 == 0 };
			struct rule rules[] = {
				{ .conds = &cond,
				    .nconds = 1,
				    .verdict = VERDICT_REJECT },
				{ .action = &inside },
			};
			struct rules_query q =
			    named(open_states[k / 2], "c.example");
			struct rules_verdict v;

			ck_assert(!rules_match(&rules[0], &q));
			ck_assert_ptr_eq(
			    rules_first_miss(&rules[0], &q), &cond);
			c->rules = rules;
			c->nrules = 2;
			v = rules_decide(c, &q);
			ck_assert(v.needs_name);
			ck_assert(!v.by_rcpt);
			ck_assert_ptr_null(v.rule);
			c->rules = NULL;
			c->nrules = 0;
		}
	config_unref(&c);
}

END_TEST

/* The name is looked at last: who is decided without it need not wait. */
START_TEST(names_last)
{
	struct cond conds[] = {
		{ .kind = COND_FCRDNS },
		{ .kind = COND_FROM_SOURCE, .table = nets },
		{ .kind = COND_RDNS, .negate = true },
		{ .kind = COND_FOR_DOMAIN, .table = domains },
	};
	struct action inside = { .kind = ACTION_RELAY };
	struct rule rules[] = {
		{ .conds = conds, .nconds = 4, .verdict = VERDICT_REJECT },
		{ .action = &inside },
	};
	struct config *c = config_new();

	c->rules = rules;
	c->nrules = 2;
	for (size_t i = 0; i < 2; i++) {
		struct rules_query q = named(open_states[i], "");
		struct rules_verdict v = rules_decide(c, &q);

		ck_assert_ptr_eq(v.rule, &rules[1]);
		ck_assert(!v.needs_name);
		ck_assert_ptr_eq(rules_first_miss(&rules[0], &q), &conds[1]);
		ck_assert_int_eq(addr_parse(STR("10.1.1.1"), &q.client), 0);
		ck_assert_ptr_eq(rules_first_miss(&rules[0], &q), &conds[0]);
		ck_assert(rules_decide(c, &q).needs_name);
		q.rcpt_domain = STR("example.org");
		ck_assert_ptr_eq(rules_first_miss(&rules[0], &q), &conds[3]);
		v = rules_decide(c, &q);
		ck_assert_ptr_eq(v.rule, &rules[1]);
		/* A rule before decides. */
		c->rules = &rules[1];
		c->nrules = 1;
		q.rcpt_domain = STR("example.com");
		ck_assert_ptr_eq(rules_decide(c, &q).rule, &rules[1]);
		c->rules = rules;
		c->nrules = 2;
	}
	struct rules_query q = named(CLIENT_NAME_CONFIRMED, "c.example");

	ck_assert_int_eq(addr_parse(STR("10.1.1.1"), &q.client), 0);
	ck_assert_ptr_eq(rules_first_miss(&rules[0], &q), &conds[2]);
	ck_assert_ptr_null(rules_first_miss(&rules[1], &q));
	c->rules = NULL;
	c->nrules = 0;
	config_unref(&c);
}

END_TEST

/* --- who has authenticated, over TLS, too early --- */

START_TEST(sessions)
{
	static const char *const u[] = { "luke", NULL };
	struct table *lukes = list(u);
	struct rules_query q = query("192.0.2.1", "joe", "example.com");

	ck_assert(!holds(COND_FROM_AUTH, NULL, &q));
	ck_assert(!holds(COND_AUTH, NULL, &q));
	ck_assert(!holds(COND_AUTH, lukes, &q));
	q.user = STR("vader");
	ck_assert(holds(COND_FROM_AUTH, NULL, &q));
	ck_assert(holds(COND_AUTH, NULL, &q));
	ck_assert(!holds(COND_AUTH, lukes, &q));
	q.user = STR("luke");
	ck_assert(holds(COND_AUTH, lukes, &q));
	ck_assert(!holds(COND_TLS, NULL, &q));
	q.tls = true;
	ck_assert(holds(COND_TLS, NULL, &q));
	ck_assert(!holds(COND_EARLY_TALKER, NULL, &q));
	q.early_talker = true;
	ck_assert(holds(COND_EARLY_TALKER, NULL, &q));
	table_free(&lukes);
}

END_TEST

/* --- DNS lists --- */

START_TEST(lists)
{
	struct cond c = { .kind = COND_DNSBL, .dnsbl = 1, .score = 3 };
	struct cond not = {
		.kind = COND_DNSBL, .dnsbl = 1, .score = 3, .negate = true
	};
	struct rule r = { .conds = &c, .nconds = 1 };
	struct rule other = { .conds = &not, .nconds = 1 };
	int32_t scores[] = { 100, 2 };
	struct rules_query q = query("192.0.2.1", "joe", "example.com");

	/* Nobody asked; not enough; enough; more; against them. */
	ck_assert(!rules_match(&r, &q));
	ck_assert(rules_match(&other, &q));
	q.dnsbl = scores;
	ck_assert(!rules_match(&r, &q));
	ck_assert(rules_match(&other, &q));
	scores[1] = 3;
	ck_assert(rules_match(&r, &q));
	ck_assert(!rules_match(&other, &q));
	scores[1] = 4;
	ck_assert(rules_match(&r, &q));
	scores[1] = -4;
	ck_assert(!rules_match(&r, &q));
	/* Neither while it is pending. */
	scores[1] = DNSBL_PENDING;
	ck_assert(!rules_match(&r, &q));
	ck_assert(!rules_match(&other, &q));
}

END_TEST

/* What waits for a list or the name, and what is decided without. */
START_TEST(lists_last)
{
	struct cond conds[] = {
		{ .kind = COND_DNSBL, .score = 1 },
		{ .kind = COND_FCRDNS, .negate = true },
		{ .kind = COND_FROM_SOURCE, .table = nets },
	};
	struct action inside = { .kind = ACTION_RELAY };
	struct rule rules[] = {
		{ .conds = conds, .nconds = 3, .verdict = VERDICT_REJECT },
		{ .action = &inside },
	};
	struct config *c = config_new();
	int32_t scores[] = { DNSBL_PENDING };
	struct rules_query q = named(CLIENT_NAME_PENDING, "");
	struct rules_verdict v;

	c->rules = rules;
	c->nrules = 2;
	q.dnsbl = scores;
	v = rules_decide(c, &q);
	ck_assert_ptr_eq(v.rule, &rules[1]);
	ck_assert(!v.needs_name && !v.needs_dnsbl);
	ck_assert_ptr_eq(rules_first_miss(&rules[0], &q), &conds[2]);
	/* Both are open. */
	ck_assert_int_eq(addr_parse(STR("10.1.1.1"), &q.client), 0);
	v = rules_decide(c, &q);
	ck_assert_ptr_null(v.rule);
	ck_assert(v.needs_name && v.needs_dnsbl);
	/* What is known of one decides, whatever the other will be. */
	q.name_state = CLIENT_NAME_CONFIRMED;
	v = rules_decide(c, &q);
	ck_assert_ptr_eq(v.rule, &rules[1]);
	ck_assert(!v.needs_name && !v.needs_dnsbl);
	ck_assert_ptr_eq(rules_first_miss(&rules[0], &q), &conds[1]);
	q.name_state = CLIENT_NAME_FAULT;
	scores[0] = 0;
	v = rules_decide(c, &q);
	ck_assert_ptr_eq(v.rule, &rules[1]);
	ck_assert(!v.needs_name && !v.needs_dnsbl);
	ck_assert_ptr_eq(rules_first_miss(&rules[0], &q), &conds[0]);
	/* One is open. */
	scores[0] = 1;
	v = rules_decide(c, &q);
	ck_assert(v.needs_name && !v.needs_dnsbl);
	q.name_state = CLIENT_NAME_NONE;
	v = rules_decide(c, &q);
	ck_assert_ptr_eq(v.rule, &rules[0]);
	scores[0] = DNSBL_PENDING;
	v = rules_decide(c, &q);
	ck_assert(!v.needs_name && v.needs_dnsbl);
	c->rules = NULL;
	c->nrules = 0;
	config_unref(&c);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("rules");
	TCase *t = tcase_create("rules");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, conditions);
	tcase_add_test(t, tags);
	tcase_add_test(t, first_match);
	tcase_add_test(t, names);
	tcase_add_test(t, names_not_asked);
	tcase_add_test(t, names_open);
	tcase_add_test(t, names_last);
	tcase_add_test(t, sessions);
	tcase_add_test(t, lists);
	tcase_add_test(t, lists_last);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
