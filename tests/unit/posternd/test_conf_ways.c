/* What the text of a configuration says of the ways out. What is refused:
 * tests/golden/conf/relay-mistakes. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "posternd/conf.h"
#include "posternd/load.h"

#define HEAD                                                          \
	"hostname \"mx.example.com\"\npostmaster \"a@example.com\"\n" \
	"listen on 127.0.0.1\n"

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

static bool
is_said(const struct conf_message *list, size_t n, const char *part)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(list[i].text, part) != NULL)
			return true;
	return false;
}

static bool
is_warned(const char *part)
{
	return is_said(errors.warnings, errors.nwarnings, part);
}

/* What `action x WORDS` becomes, until the next one is asked for. */
static const struct action *
action(const char *words)
{
	static struct config *c;
	char text[2048];

	config_unref(&c);
	conf_errors_clear(&errors);
	if (words == NULL)
		return NULL;
	snprintf(text, sizeof(text),
	    HEAD "table creds { \"hub\" = \"joe:secret\" }\naction x %s\n",
	    words);
	c = good(text);
	return &c->actions[0];
}

START_TEST(tls)
{
	static const struct {
		const char *words;
		unsigned int tls;
	} cases[] = {
		{ "relay", 0 },
		{ "relay tls opportunistic", ACTION_TLS_MAY },
		{ "relay tls require", ACTION_TLS_REQUIRE },
		{ "relay tls dane", ACTION_TLS_DANE },
		{ "relay tls mta-sts", ACTION_TLS_STS },
		{ "relay tls dane mta-sts", ACTION_TLS_DANE | ACTION_TLS_STS },
		{ "relay tls mta-sts dane require port 26",
		    ACTION_TLS_DANE | ACTION_TLS_STS | ACTION_TLS_REQUIRE },
		{ "relay tls no-verify require",
		    ACTION_TLS_UNVERIFIED | ACTION_TLS_REQUIRE },
		{ "relay to \"smtps://a.example\" tls no-verify",
		    ACTION_TLS_UNVERIFIED },
		{ "relay to \"smtp://a.example\" \"smtp+unix:///x\" tls dane",
		    ACTION_TLS_DANE },
		{ "lmtp \"inet:24@127.0.0.1\" tls opportunistic",
		    ACTION_TLS_MAY },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(action(cases[i].words)->tls == cases[i].tls, "%s",
		    cases[i].words);
	action(NULL);
}

END_TEST

START_TEST(lmtp)
{
	static const struct {
		const char *socket, *url;
	} cases[] = {
		{ "unix:/run/lmtp", "lmtp+unix:///run/lmtp" },
		{ "local:/run/lmtp", "lmtp+unix:///run/lmtp" },
		{ "/run/lmtp", "lmtp+unix:///run/lmtp" },
		{ "inet:24@192.0.2.1", "lmtp://192.0.2.1:24" },
		{ "inet:2424@localhost", "lmtp://127.0.0.1:2424" },
		{ "inet:24@box.example.com", "lmtp://box.example.com:24" },
		{ "inet6:24@2001:db8::1", "lmtp://[2001:db8::1]:24" },
		{ "inet6:24@[::1]", "lmtp://[::1]:24" },
		{ "lmtp://box.example.com", "lmtp://box.example.com" },
		{ "lmtp+unix:///run/x", "lmtp+unix:///run/x" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char words[200];
		const struct action *a;

		snprintf(words, sizeof(words), "lmtp \"%s\" ttl 1d",
		    cases[i].socket);
		a = action(words);
		ck_assert_int_eq(a->kind, ACTION_RELAY);
		ck_assert_str_eq(a->hops, cases[i].url);
		ck_assert_uint_eq(a->mx_port, 0);
		ck_assert_uint_eq(a->ttl_ms, 86400000);
	}
	action(NULL);
}

END_TEST

START_TEST(sources)
{
	const struct action *a = action("relay source 192.0.2.1 vrfy");
	char text[ADDR_TEXT_MAX];

	ck_assert_uint_eq(a->nsources, 1);
	ck_assert_str_eq(addr_format(&a->sources[0], text), "192.0.2.1");
	ck_assert(a->vrfy);
	a = action("relay source { 192.0.2.1,\n\t2001:db8::1 } vrfy");
	ck_assert_uint_eq(a->nsources, 2);
	ck_assert_str_eq(addr_format(&a->sources[1], text), "2001:db8::1");
	ck_assert(a->vrfy);
	action(NULL);
}

END_TEST

START_TEST(mda)
{
	const struct action *a =
	    action("mda \"/bin/true -d '%{rcpt.user}'\" user vmail");

	ck_assert_int_eq(a->kind, ACTION_MDA);
	ck_assert_str_eq(a->command, "/bin/true -d '%{rcpt.user}'");
	ck_assert_str_eq(a->user, "vmail");
	ck_assert_uint_eq(a->timeout_ms, 600000);
	ck_assert(!is_warned("not there"));
	a = action("mda \"/nonexistent/lda\" user vmail timeout 5s");
	ck_assert_uint_eq(a->timeout_ms, 5000);
	ck_assert(is_warned("/nonexistent/lda"));
	action(NULL);
}

END_TEST

/* A relay has no time of its own: none may come from nowhere. */
START_TEST(nothing_said)
{
	const struct action *a = action("relay to \"smtp://10.0.0.5\"");

	ck_assert_uint_eq(a->tls, 0);
	ck_assert_ptr_null(a->auth);
	ck_assert_ptr_null(a->auth_label);
	ck_assert_ptr_null(a->pki);
	ck_assert_uint_eq(a->nsources, 0);
	ck_assert_ptr_null(a->command);
	ck_assert_uint_eq(a->timeout_ms, 0);
	action(NULL);
}

END_TEST

/* --- credentials --- */

/* The value is in the memfd for the vault, the key alone everywhere else. */
START_TEST(credentials)
{
	struct config *c =
	    good(HEAD "table creds { \"hub\" = \"joe@b\xc3\xbc"
		      "cher.example:p\xc3\xa4ss,  w@\xc3\xb6rd:\" }\n"
		      "action x relay to \"smtp+tls://a.example\" auth creds "
		      "label \"HUB\"\nmatch for any from local action x\n");
	struct table *whole;
	struct str value;
	int fd;

	ck_assert_ptr_eq(c->actions[0].auth, c->tables[0]);
	ck_assert_str_eq(c->actions[0].auth_label, "HUB");
	ck_assert(table_find(c->tables[0], STR("hub"), &value));
	ck_assert_uint_eq(value.len, 0);
	ck_assert_ptr_nonnull(c->secret_fds);
	ck_assert_int_ne(c->secret_fds[0], -1);
	fd = fcntl(c->secret_fds[0], F_DUPFD_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	whole = table_open(fd, "creds", NULL);
	ck_assert_ptr_nonnull(whole);
	/* To the byte, whatever it looks like. */
	ck_assert(table_find(whole, STR("hub"), &value));
	ck_assert(
	    str_eq(value, STR("joe@b\xc3\xbc"
			      "cher.example:p\xc3\xa4ss,  w@\xc3\xb6rd:")));
	table_free(&whole);
	config_unref(&c);
}

END_TEST

/* Nobody reads a password in a message. */
START_TEST(no_password_is_shown)
{
	static const char *const texts[] = {
		"table creds { \"hub:joe:secret\" }\n"
		"action x relay to \"smtps://a\" auth creds label \"hub\"\n",
		"table creds { \"hub\" = \"joesecret\" }\n"
		"action x relay to \"smtps://a\" auth creds label \"hub\"\n",
		"table creds { \"hub\" = \":secret\" }\n"
		"action x relay to \"smtps://a\" auth creds label \"hub\"\n",
		"table creds { \"hub\" = \"joe:secret\" }\n"
		"action x relay to creds\n",
		"table creds { \"hub\" = \"joe:secret\" }\n"
		"listen on 127.0.0.2 auth creds without-tls\n",
		"action x relay to \"smtps://a\" auth \"hub:joe:secret\" "
		"label \"hub\"\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char text[600];

		snprintf(text, sizeof(text), HEAD "%s", texts[i]);
		ck_assert_ptr_null(
		    conf_parse_text("test", str_of(text), NULL, 0, &errors));
		ck_assert_uint_gt(errors.nerrors, 0);
		ck_assert_msg(!is_said(errors.errors, errors.nerrors, "secret"),
		    "%s: %s", texts[i], errors.errors[0].text);
		conf_errors_clear(&errors);
	}
}

END_TEST

/* One table cannot be for the vault and for everybody. */
START_TEST(credentials_are_no_routes)
{
	const char *text = HEAD "table t { }\n"
				"action y relay to t\n"
				"listen on 127.0.0.2 auth t without-tls\n";

	ck_assert_ptr_null(
	    conf_parse_text("test", str_of(text), NULL, 0, &errors));
	ck_assert(is_said(errors.errors, errors.nerrors,
	    "cannot have both passwords and next hops"));
}

END_TEST

/* --- trust --- */

START_TEST(trust)
{
	struct config *c = good(HEAD
	    "fetch-user f\ndnssec signed \"example.com\" bogus b.example\n"
	    "tls-report contact \"c@b\xc3\xbc"
	    "cher.example\" organization \"Some Body\" from f@example.com\n");

	ck_assert_str_eq(c->fetch_user, "f");
	ck_assert_str_eq(c->dnssec_signed, "example.com");
	ck_assert_str_eq(c->dnssec_bogus, "b.example");
	ck_assert_ptr_nonnull(c->tls_reports);
	ck_assert_str_eq(c->tls_reports->organization, "Some Body");
	ck_assert_str_eq(c->tls_reports->from, "f@example.com");
	ck_assert_str_eq(c->tls_reports->contact, "c@xn--bcher-kva.example");
	ck_assert_ptr_null(c->ca_path);
	ck_assert(is_warned("nobody signs the reports"));
	config_unref(&c);
	c = good(HEAD "dnssec signed \".\"\n");
	ck_assert_ptr_null(c->dnssec_signed);
	ck_assert_ptr_null(c->tls_reports);
	config_unref(&c);
}

END_TEST

/* A file with these words in a folder of its own, for -f. */
static const char *
write_file(const char *name, const char *text)
{
	static char dir[] = "/tmp/test_conf_ways.XXXXXX", path[100];
	FILE *f;

	if (strstr(dir, "XXXXXX") != NULL)
		ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (text == NULL) {
		unlink(path);
		rmdir(dir);
		return path;
	}
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

/* Relative to the file that names it, whoever opens it later. */
START_TEST(authorities)
{
	struct config *c;

	write_file("ca.pem",
	    "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
	c = conf_load(
	    write_file("conf", HEAD "ca \"ca.pem\"\n"), NULL, 0, &errors);
	ck_assert_ptr_nonnull(c);
	ck_assert_ptr_nonnull(strstr(c->ca_path, "/ca.pem"));
	ck_assert_int_eq(access(c->ca_path, R_OK), 0);
	config_unref(&c);
	write_file("ca.pem", NULL);
	write_file("conf", NULL);
}

END_TEST

/* DANE needs a name server that is believed, wherever it stands. */
START_TEST(trust_ad)
{
	static const struct {
		const char *action, *resolver, *resolv_conf;
		bool warned;
	} cases[] = {
		{ "relay tls dane", "", "nameserver 127.0.0.1\n", true },
		{ "relay tls dane", "",
		    "nameserver 127.0.0.1\noptions trust-ad\n", false },
		{ "relay tls dane", "resolver 127.0.0.1\n", "", true },
		{ "relay tls dane",
		    "resolver 127.0.0.1\nresolver ::1 trust-ad\n", "", false },
		{ "relay tls mta-sts", "", "nameserver 127.0.0.1\n", false },
		{ "relay", "resolver 127.0.0.1\n", "", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct load_options o = { .file = NULL };
		struct config *c;
		char conf[400], file[100], resolv[100];

		snprintf(conf, sizeof(conf),
		    HEAD "%saction x %s\nmatch from local for any action x\n",
		    cases[i].resolver, cases[i].action);
		snprintf(file, sizeof(file), "%s", write_file("conf", conf));
		snprintf(resolv, sizeof(resolv), "%s",
		    write_file("resolv.conf", cases[i].resolv_conf));
		o.file = file;
		c = load_whole(&o, false, resolv, &errors);
		ck_assert_ptr_nonnull(c);
		ck_assert_msg(is_warned("`dane' without") == cases[i].warned,
		    "case %zu", i);
		config_unref(&c);
		conf_errors_clear(&errors);
	}
	write_file("resolv.conf", NULL);
	write_file("conf", NULL);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("conf_ways");
	TCase *t = tcase_create("ways");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, tls);
	tcase_add_test(t, lmtp);
	tcase_add_test(t, sources);
	tcase_add_test(t, mda);
	tcase_add_test(t, nothing_said);
	tcase_add_test(t, credentials);
	tcase_add_test(t, no_password_is_shown);
	tcase_add_test(t, credentials_are_no_routes);
	tcase_add_test(t, trust);
	tcase_add_test(t, authorities);
	tcase_add_test(t, trust_ad);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
