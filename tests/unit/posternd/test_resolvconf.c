/* The machine's name servers; and what is said when there are none. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "posternd/load.h"
#include "posternd/resolvconf.h"

static struct conf_errors errors;
static char dir[] = "/tmp/test-resolvconf-XXXXXX";
static char path[64];

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test-resolvconf-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/resolv.conf", dir);
}

static void
teardown(void)
{
	conf_errors_clear(&errors);
	unlink(path);
	rmdir(dir);
}

static void
write_file(const char *name, struct str text)
{
	FILE *f = fopen(name, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text.p, 1, text.len, f), text.len);
	ck_assert_int_eq(fchmod(fileno(f), 0644), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static struct config *
read_text(struct str text)
{
	struct config *c = config_new();

	write_file(path, text);
	resolvconf_read(path, c, &errors);
	return c;
}

static void
is_server(const struct server *s, const char *address, uint64_t timeout_ms)
{
	char text[ADDR_TEXT_MAX];

	ck_assert_str_eq(addr_format(&s->addr, text), address);
	ck_assert_uint_eq(s->port, 53);
	ck_assert_uint_eq(s->timeout_ms, timeout_ms);
}

/* The n-th warning names this line. */
static void
is_warning(size_t n, const char *line)
{
	char start[96];

	snprintf(start, sizeof(start), "%s:%s: warning: ", path, line);
	ck_assert_uint_lt(n, errors.nwarnings);
	ck_assert_msg(
	    strncmp(errors.warnings[n].text, start, strlen(start)) == 0, "%s",
	    errors.warnings[n].text);
}

START_TEST(plain)
{
	struct config *c = read_text(STR("# by hand\n; or not\n\n"
					 "search example.com example.net\n"
					 "domain example.com\nsortlist 10/8\n"
					 "nameserver 192.0.2.1\n"
					 "nameserver\t2001:db8::1  # behind\n"
					 "options rotate ndots:2\n"));

	ck_assert_uint_eq(c->nservers, 2);
	is_server(&c->servers[0], "192.0.2.1", SERVER_TIMEOUT_MS);
	is_server(&c->servers[1], "2001:db8::1", SERVER_TIMEOUT_MS);
	ck_assert(!c->servers[0].trust_ad);
	ck_assert_uint_eq(errors.nwarnings, 0);
	config_unref(&c);
}

END_TEST

/* Options hold for all, wherever they stand; the first three count, and one
 * given twice is one. */
START_TEST(options)
{
	struct config *c =
	    read_text(STR("options timeout:2 trust-ad\nnameserver 10.0.0.1\n"
			  "nameserver 10.0.0.1\nnameserver 10.0.0.2\n"
			  "nameserver 10.0.0.3\nnameserver 10.0.0.4\n"
			  "options timeout:5"));

	ck_assert_uint_eq(c->nservers, 3);
	is_server(&c->servers[0], "10.0.0.1", 5000);
	is_server(&c->servers[2], "10.0.0.3", 5000);
	ck_assert(c->servers[0].trust_ad && c->servers[2].trust_ad);
	config_unref(&c);
	c = read_text(STR("nameserver 10.0.0.1\noptions timeout:4000000000\n"));
	is_server(&c->servers[0], "10.0.0.1", 30000);
	config_unref(&c);
	ck_assert_uint_eq(errors.nwarnings, 0);
}

END_TEST

/* The number of an interface travels; one that is not there is an error. */
START_TEST(scopes)
{
	struct config *c = read_text(STR("nameserver fe80::1%1\n"
					 "nameserver fe80::2%lo\n"
					 "nameserver fe80::3%no-such\n"));

	ck_assert_uint_eq(c->nservers, 2);
	ck_assert_uint_eq(c->servers[0].addr.scope, 1);
	ck_assert_uint_ne(c->servers[1].addr.scope, 0);
	ck_assert_uint_eq(errors.nwarnings, 1);
	is_warning(0, "3");
	config_unref(&c);
}

END_TEST

START_TEST(garbage)
{
	struct config *c =
	    read_text(STR("nameserver\nnameserver ns.example.com\n"
			  "nameserver 0.0.0.0\nnameserver 224.0.0.1\n"
			  "namserver 10.0.0.1\n\xff\xfe\0\x01\n"
			  "options timeout:x timeout:0 timeout:\n"
			  "nameserver 10.0.0.2\0\n"
			  "nameserver 10.0.0.9\n"));
	static const char *const lines[] = { "1", "2", "3", "4", "5", "6", "7",
		"7", "7", "8" };

	ck_assert_uint_eq(c->nservers, 1);
	is_server(&c->servers[0], "10.0.0.9", SERVER_TIMEOUT_MS);
	ck_assert_uint_eq(errors.nwarnings, 10);
	for (size_t i = 0; i < 10; i++)
		is_warning(i, lines[i]);
	config_unref(&c);
}

END_TEST

START_TEST(line_ends)
{
	struct config *c =
	    read_text(STR("nameserver 10.0.0.1\r\noptions timeout:2\r\n\r\n"
			  "nameserver 10.0.0.2\r"));

	ck_assert_uint_eq(c->nservers, 2);
	is_server(&c->servers[1], "10.0.0.2", 2000);
	ck_assert_uint_eq(errors.nwarnings, 0);
	config_unref(&c);
}

END_TEST

/* A huge file is read to its bound, and half a line is none. */
START_TEST(bounded)
{
	struct buf b;
	struct config *c;

	buf_init(&b, RESOLVCONF_BYTES_MAX * 2);
	buf_addf(&b, "nameserver 10.0.0.1\n");
	while (b.len < RESOLVCONF_BYTES_MAX - 20)
		buf_add_char(&b, '\n');
	buf_addf(&b, "nameserver 10.0.0.201\nnameserver 10.0.0.3\n");
	c = read_text(buf_str(&b));
	ck_assert_uint_eq(c->nservers, 1);
	ck_assert_uint_eq(errors.nwarnings, 1);
	ck_assert_ptr_nonnull(strstr(errors.warnings[0].text, "too long"));
	config_unref(&c);
	buf_clear(&b);
}

END_TEST

START_TEST(no_file)
{
	struct config *c = config_new();

	resolvconf_read(path, c, &errors);
	ck_assert_uint_eq(c->nservers, 0);
	ck_assert_uint_eq(errors.nwarnings, 1);
	resolvconf_read(dir, c, &errors);
	ck_assert_uint_eq(c->nservers, 0);
	ck_assert_uint_eq(errors.nwarnings, 2);
	config_unref(&c);
}

END_TEST

/* --- with the configuration --- */

static struct config *
load(const char *text, const char *resolv)
{
	char conf[64];
	struct load_options o = { .file = conf };
	struct config *c;

	conf_errors_clear(&errors);
	snprintf(conf, sizeof(conf), "%s/conf", dir);
	write_file(conf, str_of(text));
	unlink(path);
	if (resolv != NULL)
		write_file(path, str_of(resolv));
	c = load_whole(&o, false, path, &errors);
	unlink(conf);
	return c;
}

#define HEAD "hostname a.example.com\nlisten on 127.0.0.1\n"

/* Without a server there is no start for what cannot do without one, and a
 * warning for all else. */
START_TEST(no_server)
{
	static const char *const needy[] = {
		HEAD "action out relay\nmatch from local action out\n",
		HEAD "action out relay to \"smtp://a.example\"\n",
		HEAD "match !fcrdns reject\n",
	};
	struct config *c;

	for (size_t i = 0; i < 3; i++) {
		ck_assert_ptr_null(load(needy[i], NULL));
		ck_assert_uint_eq(errors.nerrors, 1);
		ck_assert_ptr_nonnull(
		    strstr(errors.errors[0].text, "no name server"));
		ck_assert_ptr_nonnull(strstr(errors.errors[0].text, "line 3"));
		ck_assert_ptr_null(load(needy[i], "search example.com\n"));
		c = load(needy[i], "nameserver 10.0.0.1\n");
		ck_assert_ptr_nonnull(c);
		ck_assert_uint_eq(c->nservers, 1);
		config_unref(&c);
	}
	c = load(HEAD "action out relay to \"smtp://10.0.0.1\"\n", "");
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(errors.nerrors, 0);
	ck_assert_ptr_nonnull(strstr(
	    errors.warnings[errors.nwarnings - 1].text, "no name server"));
	config_unref(&c);
}

END_TEST

/* The file's own servers are all there is. */
START_TEST(own_servers)
{
	struct config *c =
	    load(HEAD "resolver 10.0.0.7 port 5353\n", "nameserver 10.0.0.1\n");

	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->nservers, 1);
	ck_assert_uint_eq(c->servers[0].port, 5353);
	config_unref(&c);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("resolvconf");
	TCase *t = tcase_create("resolvconf");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, plain);
	tcase_add_test(t, options);
	tcase_add_test(t, scopes);
	tcase_add_test(t, garbage);
	tcase_add_test(t, line_ends);
	tcase_add_test(t, bounded);
	tcase_add_test(t, no_file);
	tcase_add_test(t, no_server);
	tcase_add_test(t, own_servers);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
