/* The configuration: defaults, references, look-ups. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/rules/config.h"

START_TEST(defaults)
{
	struct config *c = config_new();

#define IS_DEFAULT(name, keyword, unit, def, min, max)               \
	ck_assert_uint_eq(c->limits.name, (def));                    \
	ck_assert_uint_ge((uint64_t)(def) + 1, (uint64_t)(min) + 1); \
	ck_assert_uint_le((uint64_t)(def), (uint64_t)(max));
	LIMITS(IS_DEFAULT)
#undef IS_DEFAULT
#define IS_DEFAULT(name, keyword, unit, def, min, max) \
	ck_assert_uint_eq(c->queue.name, (def));
	QUEUE_NUMBERS(IS_DEFAULT)
#undef IS_DEFAULT
	ck_assert_uint_eq(c->limits.rate_per_source_period, 60000);
	ck_assert_uint_gt(c->queue.nretry, 0);
	ck_assert_uint_eq(c->queue.retry_s[0], 300);
	ck_assert_uint_eq(c->queue.retry_s[c->queue.nretry - 1], 14400);
	ck_assert_uint_ge(c->smtpd_workers, 1);
	ck_assert_uint_le(c->smtpd_workers, 8);
	ck_assert_ptr_nonnull(c->hostname);
	config_unref(&c);
}

END_TEST

START_TEST(references)
{
	struct config *c = config_new(), *d = config_ref(c);

	ck_assert_ptr_eq(c, d);
	config_unref(&c);
	ck_assert_ptr_null(c);
	ck_assert_str_eq(d->spool, "/var/spool/postern");
	config_unref(&d);
	config_unref(&d);
}

END_TEST

static struct table *
one(const char *key, const char *value)
{
	struct table_builder *b = table_builder_new("one");

	table_builder_add(b, str_of(key), value, NULL);
	return table_open(table_builder_seal(&b, NULL), "one", NULL);
}

/* For each number the first line that sets it, and only for its domain. */
START_TEST(deliver)
{
	struct config *c = config_new();
	struct deliver_numbers n;

	c->ntables = 1;
	c->tables = xcalloc(1, sizeof(*c->tables));
	c->tables[0] = one("slow.example", NULL);
	c->ndelivers = 2;
	c->delivers = xcalloc(2, sizeof(*c->delivers));
	c->delivers[0].domains = c->tables[0];
	c->delivers[0].set = 1 << 0 | 1 << 2; /* concurrency, rate */
	c->delivers[0].numbers.concurrency = 2;
	c->delivers[0].numbers.rate = 100;
	c->delivers[0].numbers.rate_period = 3600000;
	c->delivers[1].set = 1 << 0 | 1 << 1;
	c->delivers[1].numbers.concurrency = 5;
	c->delivers[1].numbers.messages_per_connection = 7;
	config_deliver_numbers(c, STR("SLOW.example"), &n);
	ck_assert_uint_eq(n.concurrency, 2);
	ck_assert_uint_eq(n.rate, 100);
	ck_assert_uint_eq(n.rate_period, 3600000);
	ck_assert_uint_eq(n.messages_per_connection, 7);
	ck_assert_uint_eq(n.idle_timeout, 30000);
	config_deliver_numbers(c, STR("example.com"), &n);
	ck_assert_uint_eq(n.concurrency, 5);
	ck_assert_uint_eq(n.rate, 0);
	ck_assert_uint_eq(n.rate_period, 60000);
	config_unref(&c);
}

END_TEST

START_TEST(hops)
{
	struct table *t = one(".example.com", "smtp://10.0.0.1");
	char fixed[] = "smtp://10.0.0.2 smtp://10.0.0.3";
	struct action a = { .hops = fixed };
	struct buf b;

	buf_init(&b, 512);
	ck_assert(str_eq(config_hops(&a, STR("x"), &b), str_of(fixed)));
	a.hops = NULL;
	a.routes = t;
	ck_assert(str_eq(
	    config_hops(&a, STR("a.example.com"), &b), STR("smtp://10.0.0.1")));
	ck_assert_uint_eq(config_hops(&a, STR("example.com"), &b).len, 0);
	ck_assert_uint_eq(b.len, 0);
	table_free(&t);
	buf_clear(&b);
}

END_TEST

/* The buffer is written anew by each call. */
START_TEST(hops_by_mx)
{
	struct config *c = config_new();
	const struct action *mx = config_find_action(c, STR(CONFIG_MX_ACTION));
	struct action a = { .mx_port = 2525 };
	struct buf b;

	buf_init(&b, 512);
	ck_assert(str_eq(config_hops(&a, STR("Example.COM"), &b),
	    STR("mx://example.com:2525")));
	ck_assert(str_eq(
	    config_hops(&a, STR("b.example"), &b), STR("mx://b.example:2525")));
	ck_assert_ptr_nonnull(mx);
	ck_assert_int_eq(mx->kind, ACTION_RELAY);
	ck_assert(!mx->vrfy);
	ck_assert(str_eq(config_hops(mx, STR("example.com"), &b),
	    STR("mx://example.com:25")));
	buf_clear(&b);
	config_unref(&c);
}

END_TEST

/* What config_needs_names says of this one action or condition. */
static const char *
needs(const struct action *a, const struct cond *k)
{
	static struct fault why;
	struct action actions[1] = { { .name = NULL } };
	struct cond conds[2] = { { .kind = COND_FROM_ANY } };
	struct rule rules[1] = { { .line = 7, .conds = conds, .nconds = 2 } };
	struct config c = { .actions = actions, .rules = rules };

	if (a != NULL) {
		actions[0] = *a;
		c.nactions = 1;
	}
	if (k != NULL) {
		conds[1] = *k;
		c.nrules = 1;
	}
	return config_needs_names(&c, &why) ? why.text : NULL;
}

static bool
relay_needs(char *urls, struct table *routes)
{
	char name[] = "out";
	struct action a = {
		.name = name, .line = 5, .hops = urls, .routes = routes
	};
	const char *why = needs(&a, NULL);

	if (why != NULL)
		ck_assert_str_eq(why, "action `out' (line 5)");
	return why != NULL;
}

START_TEST(needs_names)
{
	char addresses[] = "smtp://10.0.0.2 smtp+notls://[::1]:25";
	char mixed[] = "smtp://10.0.0.2 smtps://mx.example.com";
	char local[] = "lmtp+unix:///run/lmtp smtp+unix:///run/smtp";
	char name[] = "box";
	struct table *plain = one("example.com", addresses);
	struct table *named = one("example.com", mixed);
	struct action box = { .name = name, .kind = ACTION_MAILDIR };
	struct cond k;

	ck_assert_ptr_null(needs(NULL, NULL));
	ck_assert(relay_needs(NULL, NULL));
	ck_assert(!relay_needs(addresses, NULL));
	ck_assert(relay_needs(mixed, NULL));
	ck_assert(!relay_needs(local, NULL));
	ck_assert(!relay_needs(NULL, plain));
	ck_assert(relay_needs(NULL, named));
	ck_assert_ptr_null(needs(&box, NULL));
	for (k.kind = COND_FROM_ANY; k.kind <= COND_EARLY_TALKER; k.kind++) {
		bool by_name = k.kind == COND_RDNS || k.kind == COND_FCRDNS ||
			       k.kind == COND_HELO_PTR || k.kind == COND_DNSBL;

		for (k.negate = false;; k.negate = true) {
			const char *why = needs(NULL, &k);

			if (by_name)
				ck_assert_str_eq(why, "the rule in line 7");
			else
				ck_assert_ptr_null(why);
			if (k.negate)
				break;
		}
	}
	table_free(&plain);
	table_free(&named);
}

END_TEST

/* A rate without a period of its own is one a minute. */
START_TEST(periods)
{
	struct config *c = config_new();

	ck_assert_uint_eq(c->limits.rate_per_source_period, 60000);
	ck_assert_uint_eq(c->limits.auth_failures, 20);
	ck_assert_uint_eq(c->limits.auth_failures_period, 600000);
	config_unref(&c);
}

END_TEST

START_TEST(milters_need_names)
{
	char name[] = "f", host[] = "f.example", path[] = "/run/f";
	struct milter m = { .name = name, .line = 9, .nsockets = 2 };
	struct config c = { .milters = &m, .nmilters = 1 };
	struct fault why = { 0 };

	m.sockets[0].path = path;
	ck_assert_int_eq(addr_parse(STR("::1"), &m.sockets[1].addr), 0);
	ck_assert(!config_needs_names(&c, &why));
	m.sockets[1] = (struct milter_socket){ .host = host };
	ck_assert(config_needs_names(&c, &why));
	ck_assert_str_eq(why.text, "milter `f' (line 9)");
}

END_TEST

START_TEST(actions)
{
	struct config *c = config_new();

	ck_assert_ptr_null(config_find_action(c, STR("a")));
	c->nactions = 2;
	c->actions = xcalloc(2, sizeof(*c->actions));
	c->actions[0].name = xstrdup("a");
	c->actions[1].name = xstrdup("ab");
	ck_assert_ptr_eq(config_find_action(c, STR("ab")), &c->actions[1]);
	ck_assert_ptr_null(config_find_action(c, STR("abc")));
	config_unref(&c);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");
	SRunner *sr;
	int failed;

	tcase_add_test(t, defaults);
	tcase_add_test(t, references);
	tcase_add_test(t, deliver);
	tcase_add_test(t, hops);
	tcase_add_test(t, hops_by_mx);
	tcase_add_test(t, needs_names);
	tcase_add_test(t, periods);
	tcase_add_test(t, milters_need_names);
	tcase_add_test(t, actions);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
