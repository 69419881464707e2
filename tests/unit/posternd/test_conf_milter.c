/* What `milter' and the sets of filters become. What is refused:
 * tests/golden/conf/milter-mistakes.conf. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rules/rules.h"
#include "posternd/conf.h"
#include "posternd/role.h"

#define HEAD                                                          \
	"hostname \"mx.example.com\"\npostmaster \"a@example.com\"\n" \
	"milter a socket \"inet:1@127.0.0.1\"\n"                      \
	"milter b socket \"inet:2@127.0.0.1\"\n"                      \
	"milter c socket \"inet:3@127.0.0.1\"\n"                      \
	"action in relay to \"smtp://192.0.2.1\"\n"

static struct conf_errors errors;

static void
teardown(void)
{
	conf_errors_clear(&errors);
}

static struct config *
good(const char *text)
{
	struct config *c =
	    conf_parse_text("test", str_of(text), NULL, 0, &errors);

	ck_assert_msg(c != NULL, "%s",
	    errors.nerrors > 0 ? errors.errors[0].text : "no error");
	return c;
}

/* --- milter --- */

START_TEST(defaults)
{
	struct config *c = good(HEAD "listen on 127.0.0.1\n");
	const struct milter *m = config_find_milter(c, STR("b"));

	ck_assert_uint_eq(c->nmilters, 3);
	ck_assert_ptr_eq(m, &c->milters[1]);
	ck_assert_ptr_null(config_find_milter(c, STR("d")));
	ck_assert_uint_eq(m->id, 1);
	ck_assert_uint_eq(m->line, 4);
	ck_assert_int_eq(m->on_failure, MILTER_FAIL_TEMPFAIL);
	ck_assert(!m->shadow && !m->after_queue);
	ck_assert_uint_eq(m->connect_timeout, 30000);
	ck_assert_uint_eq(m->command_timeout, 30000);
	ck_assert_uint_eq(m->content_timeout, 300000);
	ck_assert_uint_eq(m->total_timeout, 600000);
	ck_assert_uint_eq(m->connections, 1000);
	ck_assert_uint_eq(m->failures, 5);
	ck_assert_uint_eq(m->rest, 30000);
	ck_assert_ptr_null(c->listeners[0].milters);
	ck_assert_ptr_null(c->report_milters);
	ck_assert_uint_eq(c->nmilter_sets, 0);
	config_unref(&c);
}

END_TEST

START_TEST(options)
{
	struct config *c = good("listen on 127.0.0.1\n"
				"milter f on-failure disconnect shadow "
				"connect-timeout 1s command-timeout 2s "
				"content-timeout 3s total-timeout 4s "
				"connections 5 failures 6 rest 7s "
				"socket \"/x\"\n"
				"milter g {\n"
				"phase queue\n"
				"on-failure reject\n"
				"socket \"/y\"\n"
				"}\n");
	const struct milter *m = c->milters;

	ck_assert_int_eq(m->on_failure, MILTER_FAIL_DISCONNECT);
	ck_assert(m->shadow && !m->after_queue);
	ck_assert_uint_eq(m->connect_timeout, 1000);
	ck_assert_uint_eq(m->command_timeout, 2000);
	ck_assert_uint_eq(m->content_timeout, 3000);
	ck_assert_uint_eq(m->total_timeout, 4000);
	ck_assert_uint_eq(m->connections, 5);
	ck_assert_uint_eq(m->failures, 6);
	ck_assert_uint_eq(m->rest, 7000);
	ck_assert(m[1].after_queue && !m[1].shadow);
	ck_assert_int_eq(m[1].on_failure, MILTER_FAIL_REJECT);
	config_unref(&c);
}

END_TEST

START_TEST(sockets)
{
	static const struct {
		const char *text, *path, *host, *address;
		bool ipv6;
		uint16_t port;
	} want[] = {
		{ "unix:/run/a", "/run/a", NULL, NULL, false, 0 },
		{ "local:/run/b", "/run/b", NULL, NULL, false, 0 },
		{ "/run/c:d@e", "/run/c:d@e", NULL, NULL, false, 0 },
		{ "inet:25@192.0.2.1", NULL, NULL, "192.0.2.1", false, 25 },
		{ "INET:65535@[192.0.2.2]", NULL, NULL, "192.0.2.2", false,
		    65535 },
		{ "inet6:1@2001:db8::1", NULL, NULL, "2001:db8::1", true, 1 },
		{ "inet6:1@[::1]", NULL, NULL, "::1", true, 1 },
		{ "inet:1@f.example", NULL, "f.example", NULL, false, 1 },
		{ "inet6:1@f.example", NULL, "f.example", NULL, true, 1 },
		{ "inet:1@LocalHost", NULL, NULL, "127.0.0.1", false, 1 },
		{ "inet6:1@localhost", NULL, NULL, "::1", true, 1 },
	};

	char text[256], address[ADDR_TEXT_MAX];

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		snprintf(text, sizeof(text),
		    "listen on 127.0.0.1\nmilter f socket \"%s\"\n",
		    want[i].text);
		struct config *c = good(text);
		const struct milter_socket *s = c->milters[0].sockets;
		ck_assert_uint_eq(c->milters[0].nsockets, 1);
		ck_assert_str_eq(s->text, want[i].text);
		ck_assert_pstr_eq(s->path, want[i].path);
		ck_assert_pstr_eq(s->host, want[i].host);
		ck_assert_pstr_eq(s->addr.family == ADDR_NONE ?
				      NULL :
				      addr_format(&s->addr, address),
		    want[i].address);
		ck_assert_int_eq(s->ipv6, want[i].ipv6);
		ck_assert_uint_eq(s->port, want[i].port);
		config_unref(&c);
		conf_errors_clear(&errors);
	}
}

END_TEST

/* --- sets --- */

/* "a b/c" is a, then b and c side by side. */
static const char *
set_text(const struct milter_set *set)
{
	static char text[256];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < set->n; i++) {
		const struct milter_member *m = &set->members[i];
		ck_assert_uint_le(i == 0 ? m->step : m->step - m[-1].step, 1);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s",
		    i == 0                ? "" :
		    m->step == m[-1].step ? "/" :
					    " ",
		    m->milter->name);
	}
	return text;
}

START_TEST(sets)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "{ }", "" },
		{ "{ a }", "a" },
		{ "{ { a } }", "a" },
		{ "{ a, b, c }", "a b c" },
		{ "{ a b c }", "a b c" },
		{ "{ c, { b, a } }", "c b/a" },
		{ "{ { c b } { a } }", "c/b a" },
		{ "{ { a, b, c } }", "a/b/c" },
		{ "{\n\ta,\n\t{ b\nc }\n}", "a b/c" },
		{ "$set", "b a/c" },
		{ "{ \"a\" }", "a" },
	};

	char text[512];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text),
		    HEAD "set = \"{ b, { a, c } }\"\n"
			 "listen on 127.0.0.1 milters %s port 26\n",
		    cases[i].text);
		struct config *c = good(text);
		ck_assert_str_eq(
		    set_text(c->listeners[0].milters), cases[i].want);
		ck_assert_uint_eq(c->listeners[0].port, 26);
		config_unref(&c);
		conf_errors_clear(&errors);
	}
}

END_TEST

START_TEST(a_set_is_itself)
{
	struct config *c =
	    good(HEAD "listen on 127.0.0.1 port 1 milters { a, b }\n"
		      "listen on 127.0.0.1 port 2 milters { { a, b } }\n"
		      "listen on 127.0.0.1 port 3 milters { b, a }\n"
		      "listen on 127.0.0.1 port 4 milters { { a } b }\n"
		      "listen on 127.0.0.1 port 5 milters { a }\n"
		      "match for any milters { a b } action in\n"
		      "queue report-milters { b a }\n");
	const struct milter_set *s = c->milter_sets;

	ck_assert_uint_eq(c->nmilter_sets, 4);
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_uint_eq(s[i].id, i);
	ck_assert_ptr_eq(c->listeners[0].milters, &s[0]);
	ck_assert_ptr_eq(c->listeners[1].milters, &s[1]);
	ck_assert_ptr_eq(c->listeners[2].milters, &s[2]);
	ck_assert_ptr_eq(c->listeners[3].milters, &s[0]);
	ck_assert_ptr_eq(c->listeners[4].milters, &s[3]);
	ck_assert_ptr_eq(c->rules[0].milters, &s[0]);
	ck_assert_ptr_eq(c->report_milters, &s[2]);
	config_unref(&c);
}

END_TEST

START_TEST(where_they_stand)
{
	struct config *c = good(HEAD
	    "listen on 127.0.0.1 port 1 no-milters\n"
	    "listen on 127.0.0.1 port 2 milters { a } no-milters from 10.0.0.0/8\n"
	    "match for domain \"a.example\" milters { } action in\n"
	    "match for domain \"b.example\" quarantine in milters { b }\n"
	    "match for domain \"c.example\" quarantine in\n"
	    "queue quarantine-ttl 1d\nlimit filtering 7 filtering-time 8s\n");
	const struct listener *l = c->listeners;
	const struct rule *r = c->rules;
	struct addr inside = { 0 };

	ck_assert_uint_eq(l[0].flags, LISTENER_NO_MILTERS);
	ck_assert_ptr_null(l[0].no_milters_from);
	ck_assert_uint_eq(l[1].flags, 0);
	ck_assert_int_eq(addr_parse(STR("10.1.2.3"), &inside), 0);
	ck_assert(table_find_source(l[1].no_milters_from, &inside, NULL));
	ck_assert_uint_eq(r[0].milters->n, 0);
	ck_assert_int_eq(r[0].verdict, VERDICT_ACTION);
	ck_assert_str_eq(set_text(r[1].milters), "b");
	ck_assert_int_eq(r[1].verdict, VERDICT_QUARANTINE);
	ck_assert_ptr_eq(r[1].action, c->actions);
	ck_assert(rules_takes(&r[1]));
	ck_assert_ptr_null(r[2].milters);
	ck_assert_uint_eq(c->queue.quarantine_ttl, 86400000);
	ck_assert_uint_eq(c->limits.filtering, 7);
	ck_assert_uint_eq(c->limits.filtering_time, 8000);
	config_unref(&c);
}

END_TEST

START_TEST(one_that_nobody_names)
{
	struct config *c = good(HEAD "listen on 127.0.0.1 milters { a, b }\n"
				     "match for any action in\n");
	size_t n = 0;

	for (size_t i = 0; i < errors.nwarnings; i++)
		if (strstr(errors.warnings[i].text, "milter `") != NULL) {
			ck_assert_str_eq(errors.warnings[i].text,
			    "test:5: warning: milter `c' is not used");
			n++;
		}
	ck_assert_uint_eq(n, 1);
	config_unref(&c);
}

END_TEST

/* --- what follows from it --- */

static uint64_t
smtpd_files(const struct config *c)
{
	for (size_t i = 0; i < role_table_size; i++)
		if (role_table[i].role == ROLE_SMTPD)
			return role_table[i].nofile(c);
	return 0;
}

/* A reload may bring filters, up to a bound. */
START_TEST(room_for_connections)
{
	struct config *none = good("listen on 127.0.0.1\n");
	struct config *some = good(HEAD "listen on 127.0.0.1\n");
	struct config *many =
	    good("listen on 127.0.0.1\n"
		 "milter f socket \"/x\" connections 50000\n");

	ck_assert_uint_eq(smtpd_files(none), smtpd_files(some));
	ck_assert_uint_gt(smtpd_files(many), smtpd_files(some));
	ck_assert_uint_ge(smtpd_files(many), 50000);
	config_unref(&none);
	config_unref(&some);
	config_unref(&many);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("conf_milter");
	TCase *t = tcase_create("conf_milter");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, defaults);
	tcase_add_test(t, options);
	tcase_add_test(t, sockets);
	tcase_add_test(t, sets);
	tcase_add_test(t, a_set_is_itself);
	tcase_add_test(t, where_they_stand);
	tcase_add_test(t, one_that_nobody_names);
	tcase_add_test(t, room_for_connections);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
