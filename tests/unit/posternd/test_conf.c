/* What a configuration's text becomes. What is refused: tests/golden/conf. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/rules/rules.h"
#include "posternd/conf.h"

#define HEAD                                                          \
	"hostname \"mx.example.com\"\npostmaster \"a@example.com\"\n" \
	"listen on 127.0.0.1\n"

static struct conf_errors errors;

static void
teardown(void)
{
	conf_errors_clear(&errors);
	ck_assert_ptr_null(errors.errors);
}

static struct config *
parse(const char *text)
{
	return conf_parse_text("test", str_of(text), NULL, 0, &errors);
}

static struct config *
good(const char *text)
{
	struct config *c = parse(text);

	ck_assert_msg(c != NULL, "%s",
	    errors.nerrors > 0 ? errors.errors[0].text : "no error");
	ck_assert_uint_eq(errors.nerrors, 0);
	return c;
}

START_TEST(globals)
{
	struct config *c = good(HEAD
	    "spool /x/spool\ncontrol \"/x/c.sock\" group \"g\" view-group v\n"
	    "user u queue-user q smtpd-user s\ndelivery-user d\n"
	    "control-user c resolver-user r vault-user v dialer-user e "
	    "dial-group g \"h\" i\n"
	    "workers smtpd 3 delivery 4\nlog format json\nlog file \"/x/l\"\n");

	ck_assert_str_eq(c->hostname, "mx.example.com");
	ck_assert_str_eq(c->domain, "example.com");
	ck_assert_str_eq(c->spool, "/x/spool");
	ck_assert_str_eq(c->control_path, "/x/c.sock");
	ck_assert_str_eq(c->control_group, "g");
	ck_assert_str_eq(c->control_view_group, "v");
	ck_assert_str_eq(c->submit_path, "/x/submit.sock");
	ck_assert_str_eq(c->user, "u");
	ck_assert_str_eq(c->queue_user, "q");
	ck_assert_str_eq(c->smtpd_user, "s");
	ck_assert_str_eq(c->delivery_user, "d");
	ck_assert_str_eq(c->control_user, "c");
	ck_assert_str_eq(c->resolver_user, "r");
	ck_assert_str_eq(c->dialer_user, "e");
	ck_assert_str_eq(c->vault_user, "v");
	ck_assert_str_eq(c->dial_groups, "g h i");
	ck_assert_uint_eq(c->smtpd_workers, 3);
	ck_assert_uint_eq(c->delivery_workers, 4);
	ck_assert_int_eq(c->log_kind, LOG_KIND_FILE);
	ck_assert_str_eq(c->log_path, "/x/l");
	ck_assert(c->log_json);
	ck_assert_str_eq(c->postmaster, "a@example.com");
	config_unref(&c);
}

END_TEST

START_TEST(listeners)
{
	struct config *c = good(HEAD "listen on :: port 2525 tag inner "
				     "max-size 1M hostname \"x.example\"\n");
	const struct listener *l = c->listeners;

	ck_assert_uint_eq(c->nlisteners, 3);
	ck_assert_uint_eq(l[0].id, 0);
	ck_assert_uint_eq(l[0].port, 25);
	ck_assert_uint_eq(l[0].line, 3);
	ck_assert_int_eq(l[0].addr.family, ADDR_V4);
	ck_assert_ptr_null(l[0].tag);
	ck_assert_uint_eq(l[0].max_size, 0);
	ck_assert_uint_eq(l[1].id, 1);
	ck_assert_uint_eq(l[1].port, 2525);
	ck_assert_str_eq(l[1].tag, "inner");
	ck_assert_str_eq(l[1].hostname, "x.example");
	ck_assert_uint_eq(l[1].max_size, 1 << 20);
	ck_assert_uint_eq(l[2].id, 2);
	ck_assert_uint_eq(l[2].flags, LISTENER_SUBMIT);
	ck_assert_int_eq(l[2].addr.family, ADDR_LOCAL);
	ck_assert_str_eq(l[2].path, "/run/postern/submit.sock");
	ck_assert_str_eq(c->submit_path, "/run/postern/submit.sock");
	config_unref(&c);
	c = good("listen on socket \"/x/s\"\nhostname a.b\n");
	ck_assert_uint_eq(c->nlisteners, 1);
	ck_assert_str_eq(c->submit_path, "/x/s");
	ck_assert_str_eq(c->domain, "b");
	config_unref(&c);
}

END_TEST

START_TEST(actions)
{
	struct config *c = good(HEAD
	    "action a relay to \"smtp://10.0.0.5:25\" \"smtp://[::1]\" "
	    "helo h.example ttl 2d\n"
	    "action b relay to routes\n"
	    "action c maildir \"/var/mail/x-%{rcpt.user}/Maildir\" user v\n"
	    "action d maildir \"/home/joe/Maildir/\"\n"
	    "action e discard\n"
	    "table routes { \"example.com\" = \"smtp://10.0.0.9\" }\n");
	const struct action *a = c->actions;
	struct buf b;

	ck_assert_uint_eq(c->nactions, 5);
	ck_assert_str_eq(a[0].hops, "smtp://10.0.0.5:25 smtp://[::1]");
	ck_assert_str_eq(a[0].helo, "h.example");
	ck_assert_uint_eq(a[0].ttl_ms, 172800000);
	ck_assert_ptr_null(a[0].routes);
	ck_assert_ptr_eq(a[1].routes, c->tables[0]);
	buf_init(&b, 512);
	ck_assert(str_eq(config_hops(&a[1], STR("example.com"), &b),
	    STR("smtp://10.0.0.9")));
	buf_clear(&b);
	ck_assert_uint_eq(a[0].mx_port, 0);
	ck_assert_int_eq(a[2].kind, ACTION_MAILDIR);
	ck_assert_str_eq(a[2].base, "/var/mail");
	ck_assert_str_eq(a[2].path, "x-%{rcpt.user}/Maildir");
	ck_assert_str_eq(a[2].user, "v");
	ck_assert_str_eq(a[3].base, "/home/joe");
	ck_assert_str_eq(a[3].path, "Maildir");
	ck_assert_ptr_null(a[3].user);
	ck_assert_int_eq(a[4].kind, ACTION_DISCARD);
	ck_assert_uint_eq(a[4].id, 4);
	config_unref(&c);
}

END_TEST

START_TEST(by_mx)
{
	struct config *c =
	    good(HEAD "action a relay\naction b relay port 2525 vrfy\n"
		      "action c relay to \"smtp://mx.example.com\" vrfy\n");
	const struct action *a = c->actions;
	struct buf b;

	buf_init(&b, 512);
	ck_assert_uint_eq(a[0].mx_port, 25);
	ck_assert(!a[0].vrfy && a[1].vrfy && a[2].vrfy);
	ck_assert_uint_eq(a[1].mx_port, 2525);
	ck_assert(str_eq(config_hops(&a[1], STR("Example.COM"), &b),
	    STR("mx://example.com:2525")));
	ck_assert_uint_eq(a[2].mx_port, 0);
	ck_assert(str_eq(config_hops(&a[2], STR("example.com"), &b),
	    STR("smtp://mx.example.com")));
	buf_clear(&b);
	config_unref(&c);
}

END_TEST

START_TEST(servers)
{
	struct config *c = good(HEAD "resolver 127.0.0.1\n"
				     "resolver ::1 port 5353 timeout 1s\n"
				     "resolver 192.0.2.1 { trust-ad }\n");
	const struct server *s = c->servers;
	struct addr six;

	ck_assert_int_eq(addr_parse(STR("::1"), &six), 0);
	ck_assert_uint_eq(c->nservers, 3);
	ck_assert_uint_eq(s[0].port, 53);
	ck_assert_uint_eq(s[0].timeout_ms, 3000);
	ck_assert(addr_eq(&s[1].addr, &six));
	ck_assert_uint_eq(s[1].port, 5353);
	ck_assert_uint_eq(s[1].timeout_ms, 1000);
	ck_assert(!s[0].trust_ad && !s[1].trust_ad && s[2].trust_ad);
	config_unref(&c);
}

END_TEST

START_TEST(names_in_rules)
{
	struct config *c = good(HEAD "match !rdns fcrdns !helo-ptr reject\n"
				     "listen on ::1 no-rdns\n");
	const struct cond *k = c->rules[0].conds;

	ck_assert_uint_eq(c->rules[0].nconds, 3);
	ck_assert(k[0].kind == COND_RDNS && k[0].negate);
	ck_assert(k[1].kind == COND_FCRDNS && !k[1].negate);
	ck_assert(k[2].kind == COND_HELO_PTR && k[2].negate);
	ck_assert_uint_eq(c->listeners[0].flags, 0);
	ck_assert_uint_eq(c->listeners[1].flags, LISTENER_NO_RDNS);
	config_unref(&c);
}

END_TEST

/* A name closes no door: anybody may have one. */
START_TEST(open_relay_by_name)
{
	struct config *c = good(
	    HEAD "match fcrdns action out\nmatch rdns helo-ptr action out\n"
		 "match fcrdns for domain \"example.com\" action out\n"
		 "match fcrdns from local action out\n"
		 "action out relay\n");
	size_t n = 0;

	for (size_t i = 0; i < errors.nwarnings; i++)
		if (strstr(errors.warnings[i].text, "open relay") != NULL)
			n++;
	ck_assert_uint_eq(n, 2);
	config_unref(&c);
}

END_TEST

static bool
warns_of_postmaster(const char *rules)
{
	char text[1024];
	struct config *c;
	bool warned = false;

	snprintf(text, sizeof(text),
	    "%saction in relay to \"smtp://10.0.0.5\"\n%s", HEAD, rules);
	c = good(text);
	for (size_t i = 0; i < errors.nwarnings; i++)
		if (strstr(errors.warnings[i].text, "`postmaster'") != NULL)
			warned = true;
	config_unref(&c);
	conf_errors_clear(&errors);
	return warned;
}

START_TEST(postmaster_that_nobody_takes)
{
	ck_assert(!warns_of_postmaster(
	    "match for rcpt \"a@example.com\" action in\n"));
	ck_assert(!warns_of_postmaster("match from local action in\n"));
	ck_assert(
	    !warns_of_postmaster("match fcrdns reject\nmatch action in\n"));
	ck_assert(warns_of_postmaster(
	    "match for rcpt \"b@example.com\" action in\n"));
	ck_assert(warns_of_postmaster(
	    "match for rcpt \"a@example.com\" reject\nmatch action in\n"));
	ck_assert(warns_of_postmaster("action drop discard\n"
				      "match for rcpt \"a@example.com\" "
				      "action drop\nmatch action in\n"));
	/* It comes from this machine, which has no name. */
	ck_assert(warns_of_postmaster("match fcrdns action in\n"));
}

END_TEST

START_TEST(rules)
{
	struct config *c = good(HEAD
	    "match tag t !from source 10.0.0.0/8 for rcpt { \"a@b.c\" } \\\n"
	    "  mail-from \"<>\" helo \"x.example\" action late # why\n"
	    "match from local for domain d reject \"550 no such user\"\n"
	    "match for any tempfail \"451 4.3.9 later\"\nmatch reject\n"
	    "action late discard\ntable d { \"example.com\" }\n"
	    "listen on ::1 tag t\n");
	const struct rule *r = c->rules;

	ck_assert_uint_eq(c->nrules, 4);
	ck_assert_uint_eq(r[0].line, 4);
	ck_assert_str_eq(r[0].text,
	    "match tag t !from source 10.0.0.0/8 for rcpt { \"a@b.c\" } "
	    "mail-from \"<>\" helo \"x.example\" action late");
	ck_assert_uint_eq(r[0].nconds, 5);
	ck_assert_int_eq(r[0].conds[0].kind, COND_TAG);
	ck_assert_str_eq(r[0].conds[0].text, "t");
	ck_assert_int_eq(r[0].conds[1].kind, COND_FROM_SOURCE);
	ck_assert(r[0].conds[1].negate && !r[0].conds[2].negate);
	ck_assert_int_eq(r[0].conds[2].kind, COND_FOR_RCPT);
	ck_assert_ptr_eq(r[0].action, &c->actions[0]);
	ck_assert_int_eq(r[1].verdict, VERDICT_REJECT);
	ck_assert_str_eq(r[1].reply, "550 5.7.1 no such user");
	ck_assert_int_eq(r[2].verdict, VERDICT_TEMPFAIL);
	ck_assert_str_eq(r[2].reply, "451 4.3.9 later");
	ck_assert_ptr_null(r[3].reply);
	ck_assert_uint_eq(r[3].nconds, 0);
	config_unref(&c);
}

END_TEST

START_TEST(numbers)
{
	struct config *c = good(
	    HEAD "limit message-size 50M errors 7 rate-per-source 100/5m\n"
		 "limit data-rate off command-timeout 1m30s\n"
		 "queue retry 1m 90s 1500ms warn off disk-reserve 1k\n"
		 "deliver for domain \"slow.example\" rate 10/h\n"
		 "deliver for domain \"bare.example\" rate 100\n"
		 "deliver concurrency 3\nbare-newline reject except ::1\n");
	struct deliver_numbers n;
	struct addr a;

	ck_assert_uint_eq(c->limits.message_size, 52428800);
	ck_assert_uint_eq(c->limits.errors, 7);
	ck_assert_uint_eq(c->limits.rate_per_source, 100);
	ck_assert_uint_eq(c->limits.rate_per_source_period, 300000);
	ck_assert_uint_eq(c->limits.data_rate, 0);
	ck_assert_uint_eq(c->limits.command_timeout, 90000);
	ck_assert_uint_eq(c->queue.nretry, 3);
	ck_assert_uint_eq(c->queue.retry_s[1], 90);
	ck_assert_uint_eq(c->queue.retry_s[2], 2);
	ck_assert_uint_eq(c->queue.warn, 0);
	ck_assert_uint_eq(c->queue.disk_reserve, 1024);
	config_deliver_numbers(c, STR("slow.example"), &n);
	ck_assert_uint_eq(n.rate, 10);
	ck_assert_uint_eq(n.rate_period, 3600000);
	ck_assert_uint_eq(n.concurrency, 3);
	config_deliver_numbers(c, STR("bare.example"), &n);
	ck_assert_uint_eq(n.rate, 100);
	ck_assert_uint_eq(n.rate_period, 60000);
	addr_parse(STR("::1"), &a);
	ck_assert(table_find_source(c->bare_newline_except, &a, NULL));
	config_unref(&c);
}

END_TEST

START_TEST(tables_travel)
{
	struct config *c =
	    good(HEAD "table a { \"x\" }\nmatch helo \"y\" reject\n"
		      "bare-newline reject except { ::1, 10.0.0.0/8 }\n");
	struct fault why;

	ck_assert_uint_eq(c->ntables, 3);
	for (size_t i = 0; i < c->ntables; i++) {
		struct table *t = table_open(
		    fcntl(c->table_fds[i], F_DUPFD_CLOEXEC, 0), "again", &why);

		ck_assert_ptr_nonnull(t);
		ck_assert_uint_eq(table_count(t), table_count(c->tables[i]));
		table_free(&t);
	}
	ck_assert_str_eq(table_name(c->tables[0]), "a");
	config_unref(&c);
}

END_TEST

START_TEST(defines)
{
	struct conf_define d[3];
	struct config *c;

	ck_assert_int_eq(conf_define_parse("port=2525", &d[0]), 0);
	ck_assert_int_eq(conf_define_parse("p=1", &d[1]), 0);
	ck_assert_int_eq(conf_define_parse("p=/x=y", &d[2]), 0);
	ck_assert_int_eq(conf_define_parse("p", &d[2]), -1);
	ck_assert_int_eq(conf_define_parse("=p", &d[2]), -1);
	ck_assert_int_eq(conf_define_parse("p q=r", &d[2]), -1);
	ck_assert_int_eq(conf_define_parse("p=/x", &d[2]), 0);
	c = conf_parse_text("test",
	    STR("port = \"1\"\nspool $p\nlog file \"$p/log\"\n"
		"listen on 127.0.0.1 port $port\n"),
	    d, 3, &errors);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->listeners[0].port, 2525);
	ck_assert_str_eq(c->spool, "/x");
	ck_assert_str_eq(c->log_path, "/x/log");
	config_unref(&c);
}

END_TEST

START_TEST(many_errors)
{
	struct buf b;
	struct config *c;

	buf_init(&b, 1 << 20);
	for (unsigned int i = 0; i < 1000; i++)
		buf_addf(&b, "banana %u\n", i);
	c = conf_parse_text("test", buf_str(&b), NULL, 0, &errors);
	ck_assert_ptr_null(c);
	ck_assert_uint_eq(errors.nerrors, CONF_ERRORS_MAX + 1);
	ck_assert_str_eq(
	    errors.errors[0].text, "test:1: unknown statement `banana'");
	buf_clear(&b);
}

END_TEST

/* Each literal is a table: not more than there are descriptors for; and that
 * is said once, where it begins. */
START_TEST(many_literals)
{
	struct config *c;
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_addf(&b, "%saction a discard\n", HEAD);
	for (unsigned int i = 0; i < 2048; i++)
		buf_addf(&b, "match for domain \"d%u.example\" action a\n", i);
	c = conf_parse_text("test", buf_str(&b), NULL, 0, &errors);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->ntables, 2048);
	config_unref(&c);
	conf_errors_clear(&errors);
	for (unsigned int i = 0; i < 20; i++)
		buf_addf(&b, "match for domain \"e%u.example\" action a\n", i);
	ck_assert_ptr_null(
	    conf_parse_text("test", buf_str(&b), NULL, 0, &errors));
	ck_assert_uint_eq(errors.nerrors, 1);
	ck_assert_ptr_nonnull(strstr(errors.errors[0].text,
	    ": more than 2048 tables and literals: names that lead"));
	buf_clear(&b);
}

END_TEST

/* Each include doubles what is read: the total ends it. */
START_TEST(include_bomb)
{
	char dir[] = "/tmp/test-conf-XXXXXX", path[64];
	struct config *c;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (int i = 0; i < 16; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/%d", dir, i);
		f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		for (int j = 0; j < 100; j++)
			fprintf(f, "include \"%d\"\n", i + 1);
		fchmod(fileno(f), 0644);
		fclose(f);
	}
	snprintf(path, sizeof(path), "%s/0", dir);
	c = conf_load(path, NULL, 0, &errors);
	ck_assert_ptr_null(c);
	ck_assert_uint_gt(errors.nerrors, 0);
	for (int i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, i);
		unlink(path);
	}
	rmdir(dir);
}

END_TEST

/* A value that grows with every macro is cut off before memory is. */
START_TEST(macro_bomb)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_addf(&b, "%sm0 = \"0123456789\"\n", HEAD);
	for (unsigned int i = 1; i < 40; i++)
		buf_addf(&b, "m%u = \"$m%u$m%u\"\n", i, i - 1, i - 1);
	ck_assert_ptr_null(
	    conf_parse_text("test", buf_str(&b), NULL, 0, &errors));
	ck_assert_ptr_nonnull(strstr(errors.errors[0].text, "too large"));
	buf_clear(&b);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("conf");
	TCase *t = tcase_create("conf");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, globals);
	tcase_add_test(t, listeners);
	tcase_add_test(t, actions);
	tcase_add_test(t, by_mx);
	tcase_add_test(t, servers);
	tcase_add_test(t, names_in_rules);
	tcase_add_test(t, open_relay_by_name);
	tcase_add_test(t, postmaster_that_nobody_takes);
	tcase_add_test(t, rules);
	tcase_add_test(t, numbers);
	tcase_add_test(t, tables_travel);
	tcase_add_test(t, defines);
	tcase_add_test(t, many_errors);
	tcase_add_test(t, many_literals);
	tcase_add_test(t, include_bomb);
	tcase_add_test(t, macro_bomb);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
