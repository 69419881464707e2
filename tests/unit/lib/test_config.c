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

	ck_assert(str_eq(config_hops(&a, STR("x")), str_of(fixed)));
	a.hops = NULL;
	ck_assert_uint_eq(config_hops(&a, STR("x")).len, 0);
	a.routes = t;
	ck_assert(str_eq(
	    config_hops(&a, STR("a.example.com")), STR("smtp://10.0.0.1")));
	ck_assert_uint_eq(config_hops(&a, STR("example.com")).len, 0);
	table_free(&t);
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
	tcase_add_test(t, actions);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
