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
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
