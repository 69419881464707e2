/* What a configuration's text becomes of TLS, AUTH, lists; and that no value
 * of a password's table stays with the parent. */
#include <check.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/rules/rules.h"
#include "posternd/conf.h"

#define HEAD "hostname \"mx.example.com\"\npostmaster \"a@example.com\"\n"

static char dir[32];
static struct conf_errors errors;

/* --- files --- */

static const char *
path_of(const char *name)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
write_file(const char *name, const char *text)
{
	int fd = open(path_of(name), O_CREAT | O_TRUNC | O_WRONLY, 0600);
	size_t len = strlen(text);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

/* A certificate by its own key, of this kind. */
static void
write_identity(const char *name, EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	char file[32];
	FILE *f;

	ck_assert_ptr_nonnull(key);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 365L * 86400);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)"mx.example.com", -1, -1, 0);
	X509_set_issuer_name(x, subject);
	X509_set_pubkey(x, key);
	ck_assert_int_gt(X509_sign(x, key, EVP_sha256()), 0);
	(void)snprintf(file, sizeof(file), "%s.key", name);
	write_file(file, "");
	f = fopen(path_of(file), "w");
	ck_assert_ptr_nonnull(f);
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	(void)snprintf(file, sizeof(file), "%s.crt", name);
	f = fopen(path_of(file), "w");
	ck_assert_ptr_nonnull(f);
	fputs("what people write around it\n", f);
	PEM_write_X509(f, x);
	fputs("and behind\n", f);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void
setup(void)
{
	strcpy(dir, "/tmp/test-door-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	write_identity("ec", EVP_EC_gen("P-256"));
	write_identity("rsa", EVP_RSA_gen(2048));
}

static void
teardown(void)
{
	static const char *const names[] = { "ec.key", "ec.crt", "rsa.key",
		"rsa.crt", "accounts", "conf" };

	conf_errors_clear(&errors);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	rmdir(dir);
}

static struct config *
parse(const char *text)
{
	struct conf_define d = { STR("dir"), str_of(dir) };

	return conf_parse_text("test", str_of(text), &d, 1, &errors);
}

static struct config *
good(const char *text)
{
	struct config *c = parse(text);

	ck_assert_msg(c != NULL, "%s",
	    errors.nerrors > 0 ? errors.errors[0].text : "no error");
	return c;
}

/* --- certificates --- */

#define PKIS                                                     \
	"pki both cert \"$dir/ec.crt\" key \"$dir/ec.key\" \\\n" \
	" cert \"$dir/rsa.crt\" key \"$dir/rsa.key\"\n"          \
	"pki one {\n cert \"$dir/rsa.crt\"\n key \"$dir/rsa.key\"\n}\n"

START_TEST(pkis)
{
	struct config *c = good(HEAD PKIS
	    "listen on ::1 pki one both smtps\n"
	    "listen on ::2 pki { both } tls-require client-certificate\n"
	    "listen on ::3 { pki one\n client-certificate ca \"$dir/ec.crt\"\n"
	    "}\n");
	const struct listener *l = c->listeners;
	const struct cert *cert = c->pkis[0].certs;

	ck_assert_uint_eq(c->npkis, 2);
	ck_assert_str_eq(c->pkis[0].name, "both");
	ck_assert_uint_eq(c->pkis[0].ncerts, 2);
	ck_assert_uint_eq(c->pkis[1].ncerts, 1);
	ck_assert_uint_eq(c->pkis[1].id, 1);
	ck_assert_str_eq(cert[0].key_path, path_of("ec.key"));
	ck_assert_str_eq(cert[1].cert_path, path_of("rsa.crt"));
	/* The certificate alone; the key open, and unread. */
	ck_assert(strncmp(cert[0].chain, "-----BEGIN CERT", 15) == 0);
	ck_assert_ptr_null(strstr(cert[0].chain, "people"));
	ck_assert_ptr_null(strstr(cert[0].chain, "behind"));
	ck_assert_int_gt(cert[0].key_fd, 0);
	ck_assert_int_eq(lseek(cert[0].key_fd, 0, SEEK_CUR), 0);
	ck_assert_uint_eq(l[0].npkis, 2);
	ck_assert_ptr_eq(l[0].pkis[0], &c->pkis[1]);
	ck_assert_ptr_eq(l[0].pkis[1], &c->pkis[0]);
	ck_assert_uint_eq(l[0].flags, LISTENER_SMTPS);
	ck_assert_uint_eq(l[1].npkis, 1);
	ck_assert_uint_eq(
	    l[1].flags, LISTENER_TLS_REQUIRE | LISTENER_CLIENT_CERT);
	ck_assert_ptr_null(l[1].client_ca);
	ck_assert_str_eq(l[2].client_ca, cert[0].chain);
	config_unref(&c);
}

END_TEST

/* The key of another one is found out; the line is the pki's. */
START_TEST(foreign_key)
{
	char expected[64];

	ck_assert_ptr_null(
	    parse(HEAD "pki mx cert \"$dir/ec.crt\" key \"$dir/rsa.key\"\n"
		       "listen on ::1 pki mx\n"));
	ck_assert_uint_eq(errors.nerrors, 1);
	(void)snprintf(expected, sizeof(expected), "test:3: %s", dir);
	ck_assert_msg(
	    strncmp(errors.errors[0].text, expected, strlen(expected)) == 0,
	    "%s", errors.errors[0].text);
}

END_TEST

/* --- listeners --- */

START_TEST(fronts)
{
	struct config *c = good(HEAD PKIS
	    "table accounts { \"luke\" = \"$5$abcdefgh$"
	    "0123456789012345678901234567890123456789012\" }\n"
	    "table scram { \"luke\" = \"{SCRAM-SHA-256}4096,QSXCR+Q6sek8bf92,"
	    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\" }\n"
	    "table his { \"luke\" = \"luke@a.example, @b.example\" }\n"
	    "listen on ::1 pki one auth accounts senders his\n"
	    "listen on 127.0.0.1 auth scram without-tls xclient from ::1\n"
	    "listen on ::3 proxy-protocol greet-delay 2s\n"
	    "listen on ::4 proxy-protocol from { ::1 } \\\n"
	    " greet-delay 500ms flag except 10.0.0.0/8\n"
	    "allow from ::1\ndeny from { ::2, ::3 } \"421 go away\"\n");
	const struct listener *l = c->listeners;
	struct addr a;

	ck_assert_str_eq(table_name(l[0].auth), "accounts");
	ck_assert_str_eq(table_name(l[0].senders), "his");
	ck_assert_uint_eq(l[0].flags, 0);
	ck_assert_uint_eq(l[1].flags, LISTENER_AUTH_CLEAR | LISTENER_SCRAM);
	ck_assert_int_eq(addr_parse(STR("::1"), &a), 0);
	ck_assert(table_find_source(l[1].xclient_from, &a, NULL));
	ck_assert_uint_eq(l[2].flags, LISTENER_PROXY);
	ck_assert_uint_eq(l[2].greet_delay_ms, 2000);
	ck_assert_ptr_null(l[2].no_delay_for);
	ck_assert_uint_eq(l[3].flags, LISTENER_GREET_FLAG);
	ck_assert_uint_eq(l[3].greet_delay_ms, 500);
	ck_assert(table_find_source(l[3].proxy_from, &a, NULL));
	ck_assert(!table_find_source(l[3].no_delay_for, &a, NULL));
	ck_assert(table_find_source(c->allow_from, &a, NULL));
	ck_assert(!table_find_source(c->deny_from, &a, NULL));
	ck_assert_str_eq(c->deny_reply, "421 4.7.1 go away");
	config_unref(&c);
}

END_TEST

START_TEST(conditions)
{
	struct config *c = good(
	    HEAD "listen on ::1 greet-delay 1s flag\n"
		 "table lists { \"a.example\" = \"3\", \"b.example\" }\n"
		 "match dnsbl lists score 4 !dnsbl \"c.example\" reject\n"
		 "match dnsbl lists early-talker !tls reject\n"
		 "match !auth !auth user { \"luke\" } !from auth reject\n");
	const struct cond *k = c->rules[0].conds;

	ck_assert_uint_eq(c->ndnsbls, 2);
	ck_assert_str_eq(table_name(c->dnsbls[0]), "lists");
	ck_assert_uint_eq(k[0].dnsbl, 0);
	ck_assert_int_eq(k[0].score, 4);
	ck_assert_ptr_eq(k[0].table, c->dnsbls[0]);
	ck_assert_uint_eq(k[1].dnsbl, 1);
	ck_assert_int_eq(k[1].score, 1);
	ck_assert(k[1].negate);
	k = c->rules[1].conds;
	ck_assert_uint_eq(k[0].dnsbl, 0);
	ck_assert_int_eq(k[0].score, 1);
	ck_assert_int_eq(k[1].kind, COND_EARLY_TALKER);
	ck_assert(k[2].kind == COND_TLS && k[2].negate);
	k = c->rules[2].conds;
	ck_assert(k[0].kind == COND_AUTH && k[0].table == NULL);
	ck_assert(k[1].kind == COND_AUTH &&
		  table_find(k[1].table, STR("Luke"), NULL));
	ck_assert_int_eq(k[2].kind, COND_FROM_AUTH);
	config_unref(&c);
}

END_TEST

/* --- names in other scripts --- */

START_TEST(other_scripts)
{
	struct config *c =
	    good("postmaster \"Jörg@Bücher.example\"\n"
		 "listen on ::1\naction out discard\n"
		 "match for domain { \"Bücher.example\", \".straße.example\" } "
		 "mail-from { \"jörg@bücher.example\", \"@日本.example\" } "
		 "action out\n"
		 "match auth user { \"jörg\" } for any action out\n"
		 "table his { \"jörg\" = \"jörg@bücher.example,@x.example\" }\n"
		 "listen on 127.0.0.1 auth {} senders his without-tls\n");
	const struct cond *k = c->rules[0].conds;
	struct str value;

	ck_assert_str_eq(c->postmaster, "Jörg@xn--bcher-kva.example");
	ck_assert(
	    table_find_domain(k[0].table, STR("xn--bcher-kva.example"), NULL));
	ck_assert(table_find_domain(
	    k[0].table, STR("a.xn--strae-oqa.example"), NULL));
	ck_assert(table_find_address(
	    k[1].table, STR("jörg"), STR("xn--bcher-kva.example"), NULL));
	ck_assert(!table_find_address(
	    k[1].table, STR("jorg"), STR("xn--bcher-kva.example"), NULL));
	ck_assert(table_find_address(
	    k[1].table, STR("x"), STR("xn--wgv71a.example"), NULL));
	/* A user's name stays as it is, his addresses do not. */
	ck_assert(table_find(c->rules[1].conds[0].table, STR("jörg"), NULL));
	ck_assert(table_find(c->listeners[1].senders, STR("jörg"), &value));
	ck_assert(str_eq(value, STR("jörg@xn--bcher-kva.example @x.example")));
	config_unref(&c);
}

END_TEST

/* A hash without its quotes is an error that shows nothing of it. */
START_TEST(hash_without_quotes)
{
	ck_assert_ptr_null(
	    parse(HEAD "listen on ::1\n"
		       "table t { \"luke\" = $6$salt$secret }\n"));
	ck_assert_uint_eq(errors.nerrors, 1);
	ck_assert_ptr_null(strstr(errors.errors[0].text, "secret"));
}

END_TEST

START_TEST(same_name_twice)
{
	ck_assert_ptr_null(
	    parse(HEAD "listen on ::1\nmatch for domain { \"bücher.example\", "
		       "\"xn--bcher-kva.example\" } reject\n"));
	ck_assert_uint_eq(errors.nerrors, 1);
}

END_TEST

/* --- passwords --- */

enum { HASH_LEN = 86 };

/* Letter by letter, so that it is nowhere but where it was written to. */
static char
hash_at(size_t i)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl"
				      "mnopqrstuvwxyz0123456789./";

	return letters[(i * 37 + i / 7) % 64];
}

/* The file with `before', the hash and `behind' in a row. */
static void
write_hash(const char *name, const char *before, const char *behind)
{
	char text[1024];
	size_t n;

	(void)snprintf(text, sizeof(text), "%s", before);
	n = strlen(text);
	for (size_t i = 0; i < HASH_LEN; i++)
		text[n++] = hash_at(i);
	(void)snprintf(text + n, sizeof(text) - n, "%s", behind);
	write_file(name, text);
	explicit_bzero(text, sizeof(text));
}

static bool
is_hash(const char *p)
{
	size_t i = 0;

	while (i < HASH_LEN && p[i] == hash_at(i))
		i++;
	/* Half of it is too much already. */
	return i >= HASH_LEN / 2;
}

/* How often is it in these bytes? */
static size_t
count_in(const char *p, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i + HASH_LEN <= len; i++)
		n += p[i] == hash_at(0) && is_hash(p + i);
	return n;
}

/* ASan's own memory cannot be walked. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_WALKED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_WALKED 0
#endif
#endif
#ifndef IS_WALKED
#define IS_WALKED 1
#endif

/* And in all that this process may read. */
static size_t
count_in_memory(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512], mode[8];
	size_t n = 0;

	ck_assert_ptr_nonnull(maps);
	while (IS_WALKED && fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 ||
		    mode[0] != 'r' || strstr(line, "[v") != NULL)
			continue;
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): that is the
		 * question */
		n += count_in((const char *)from, to - from);
	}
	fclose(maps);
	return n;
}

/* Has the image behind fd the value? */
static bool
has_value(int fd, const char *name)
{
	struct table *t = table_open(fcntl(fd, F_DUPFD_CLOEXEC, 0), name, NULL);
	struct str value;
	bool found;

	ck_assert_ptr_nonnull(t);
	ck_assert(table_find(t, STR("luke"), &value));
	found = count_in(value.p, value.len) > 0;
	ck_assert(found || value.len == 0);
	table_free(&t);
	return found;
}

static void
check_secret(struct config *c)
{
	const struct table *t = c->listeners[0].auth;
	struct str value;
	size_t id = 0;

	ck_assert_uint_eq(count_in_memory(), 0);
	while (c->tables[id] != t)
		id++;
	ck_assert(table_find(t, STR("luke"), &value));
	ck_assert_uint_eq(value.len, 0);
	ck_assert(!has_value(c->table_fds[id], "keys"));
	ck_assert(has_value(c->secret_fds[id], "all"));
	for (size_t i = 0; i < c->ntables; i++)
		ck_assert(i == id || c->secret_fds[i] == -1);
}

START_TEST(secrets_in_a_file)
{
	static char here[HASH_LEN];
	struct conf_define d = { STR("dir"), str_of(dir) };
	struct config *c;

	/* The search finds what there is. */
	for (size_t i = 0; i < HASH_LEN; i++)
		here[i] = hash_at(i);
	ck_assert_uint_eq(count_in_memory(), IS_WALKED);
	explicit_bzero(here, sizeof(here));
	write_hash("accounts", "# who\nluke $6$abcdefgh$", "\nleia x\n");
	write_file("conf",
	    HEAD "table accounts file \"accounts\"\n"
		 "listen on 127.0.0.1 auth accounts without-tls\n");
	/* Wrong in the second line, with no word of the first one's value. */
	ck_assert_ptr_null(conf_load(path_of("conf"), &d, 1, &errors));
	ck_assert_uint_eq(errors.nerrors, 1);
	ck_assert_ptr_nonnull(strstr(errors.errors[0].text, "`leia'"));
	conf_errors_clear(&errors);
	ck_assert_uint_eq(count_in_memory(), 0);
	write_hash("accounts", "# who\nluke $6$abcdefgh$", "\n");
	c = conf_load(path_of("conf"), &d, 1, &errors);
	ck_assert_ptr_nonnull(c);
	check_secret(c);
	config_unref(&c);
}

END_TEST

START_TEST(secrets_in_the_configuration)
{
	struct config *c;

	write_hash("conf",
	    HEAD "table other { \"x\" }\n"
		 "table accounts { \"luke\" = \"$6$abcdefgh$",
	    "\" }\nlisten on 127.0.0.1 auth accounts without-tls\n"
	    "match auth user accounts reject\nmatch helo other reject\n");
	c = conf_load(path_of("conf"), NULL, 0, &errors);
	ck_assert_ptr_nonnull(c);
	/* Not as if it were a macro, either. */
	for (size_t i = 0; i < errors.nwarnings; i++)
		ck_assert_ptr_null(strstr(errors.warnings[i].text, "macro"));
	check_secret(c);
	ck_assert_ptr_eq(c->rules[0].conds[0].table, c->listeners[0].auth);
	config_unref(&c);
}

END_TEST

/* By the file of the table, or by the configuration itself. */
START_TEST(passwords_for_everybody)
{
	struct config *c;

	for (int readable = 0; readable < 2; readable++) {
		write_hash("conf",
		    HEAD "listen on 127.0.0.1 auth { \"luke\" = "
			 "\"$6$abcdefgh$",
		    "\" } without-tls\n"
		    "action o relay to \"smtp://10.0.0.5\"\n"
		    "match from auth action o\nmatch from local action o\n");
		ck_assert_int_eq(
		    chmod(path_of("conf"), readable ? 0644 : 0600), 0);
		c = conf_load(path_of("conf"), NULL, 0, &errors);
		ck_assert_ptr_nonnull(c);
		ck_assert_uint_eq(errors.nwarnings, (size_t)readable);
		if (readable)
			ck_assert_ptr_nonnull(strstr(errors.warnings[0].text,
			    ":3: warning: everybody can read the passwords of "
			    "this table"));
		conf_errors_clear(&errors);
		config_unref(&c);
	}
}

END_TEST

/* A session that began with one configuration may ask a process that has the
 * next one: the same name is the same table. */
START_TEST(names_of_tables_without_one)
{
	struct config *old =
	    good(HEAD "match dnsbl \"a.example\" reject\n"
		      "match dnsbl { \"b.example\", \"c.example\" } reject\n"
		      "match helo { \"b.example\", \"c.example\" } reject\n"
		      "listen on 127.0.0.1\n");
	struct config *new =
	    good(HEAD "match dnsbl { \"b.example\", \"c.example\" } reject\n"
		      "match dnsbl \"d.example\" reject\n"
		      "match dnsbl \"a.example\" reject\n"
		      "listen on 127.0.0.1\n");
	const char *names[] = { table_name(old->dnsbls[0]),
		table_name(old->dnsbls[1]) };

	ck_assert_str_eq(table_name(new->dnsbls[2]), names[0]);
	ck_assert_str_eq(table_name(new->dnsbls[0]), names[1]);
	ck_assert_str_ne(table_name(new->dnsbls[1]), names[0]);
	ck_assert_str_ne(table_name(new->dnsbls[1]), names[1]);
	/* And no two of one configuration have the same. */
	ck_assert_str_ne(table_name(old->rules[2].conds[0].table), names[1]);
	config_unref(&old);
	config_unref(&new);
}

END_TEST

/* Who needs other values of such a table, in whatever order. */
START_TEST(two_kinds_of_values)
{
	static const char *const uses[] = {
		"listen on ::2 pki one auth accounts senders accounts\n",
		"action a relay to accounts\n",
	};
	char text[1024];

	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(text, sizeof(text),
		    "%s%slisten on ::1 pki one auth accounts\n%s", HEAD, PKIS,
		    uses[i]);
		write_hash("accounts", "luke $6$abcdefgh$", "\n");
		(void)strcat(text, "table accounts file \"$dir/accounts\"\n");
		ck_assert_ptr_null(parse(text));
		ck_assert_uint_ge(errors.nerrors, 1);
		conf_errors_clear(&errors);
	}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("conf_door");
	TCase *t = tcase_create("door");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, pkis);
	tcase_add_test(t, foreign_key);
	tcase_add_test(t, fronts);
	tcase_add_test(t, conditions);
	tcase_add_test(t, other_scripts);
	tcase_add_test(t, same_name_twice);
	tcase_add_test(t, hash_without_quotes);
	tcase_add_test(t, secrets_in_a_file);
	tcase_add_test(t, secrets_in_the_configuration);
	tcase_add_test(t, two_kinds_of_values);
	tcase_add_test(t, passwords_for_everybody);
	tcase_add_test(t, names_of_tables_without_one);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
