/* Passwords of every kind, users that are not there, and values that nobody
 * understands. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/mail/base64.h"
#include "vault/accounts.h"
#include "vault/passwords.h"

/* All of them "force". */
#define YESCRYPT \
	"$y$j75$abcdefgh1234$W6KhwddHpQwwhWHZwFdqKsdPoRge4tQrKEIAxidwlM3"
#define SHA512                                                           \
	"$6$rounds=1000$saltsalt$HeS1CblwdMQPBy083FnRr.pQ5bJkr6ylIhFFW/" \
	"jJTfGTnxj9ZIaIHbJSZ0BTbg1beDcVLE6mXmDuscE57vUCL/"
#define SHA256                                                              \
	"$5$rounds=1000$saltsalt$WcsVUD7/HZIbDo2xsqbhM94cPblOgNx12npGwn.Qp" \
	"p8"
#define BCRYPT(c) \
	"$2" c "$04$abcdefghijklmnopqrstuulnhRXnd56ExpNuc224ZccFDOT8PB3dC"
#define MD5  "$1$saltsalt$..K2GqoZ2lwrFe.pEAEbu1"
#define GOST "$gy$j75$abcdefgh1234$Ch0VreNfCl1GZdGQz3wEBXkn8ITHTk7OkUDJjxzwBq3"
/* "pencil" (RFC 7677 3) */
#define SCRAM                                           \
	"{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==," \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define AUTH_MESSAGE                             \
	"n=user,r=rOprNGfwEbeRWgbNEkqO,r=" NONCE \
	",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" NONCE
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static struct config *conf;

static const struct {
	const char *user, *value;
} users[] = {
	{ "yes", YESCRYPT },
	{ "six", SHA512 },
	{ "five", SHA256 },
	{ "b", BCRYPT("b") },
	{ "a", BCRYPT("a") },
	{ "y", BCRYPT("y") },
	{ "user", SCRAM },
	/* not taken */
	{ "md5", MD5 },
	{ "gost", GOST },
	{ "plain", "force" },
	{ "braces", "{PLAIN}force" },
	{ "des", "rl.3StKT.4T8M" },
	{ "locked", "!" },
	{ "none", NULL },
	{ "cut", "$6$rounds=1000$saltsalt$HeS1CblwdMQPB" },
	{ "setting", "$6$rounds=1000$saltsalt$" },
	{ "broken", "{SCRAM-SHA-256}4096,W22Z" },
};

static struct table *
make_table(const char *name, size_t from, size_t n)
{
	struct fault why = { 0 };
	struct table_builder *b = table_builder_new(name);
	for (size_t i = from; i < from + n; i++)
		ck_assert_int_eq(table_builder_add(b, str_of(users[i].user),
				     users[i].value, &why),
		    0);
	int fd = table_builder_seal(&b, &why);
	ck_assert_int_ge(fd, 0);
	struct table *t = table_open(fd, name, &why);
	ck_assert_ptr_nonnull(t);
	return t;
}

/* accounts: all; hashes: the first alone; others: of no listener. */
static void
setup(void)
{
	conf = config_new();
	conf->tables = xcalloc(3, sizeof(*conf->tables));
	conf->ntables = 3;
	conf->tables[0] =
	    make_table("accounts", 0, sizeof(users) / sizeof(users[0]));
	conf->tables[1] = make_table("hashes", 0, 1);
	conf->tables[2] = make_table("others", 0, 1);
	conf->listeners = xcalloc(3, sizeof(*conf->listeners));
	conf->nlisteners = 3;
	conf->listeners[0].auth = conf->tables[0];
	conf->listeners[2].auth = conf->tables[1];
	passwords_init();
	passwords_set_config(conf);
}

static void
teardown(void)
{
	accounts_clear();
	config_unref(&conf);
}

static enum vault_verdict
check(const char *table, const char *user, struct str password)
{
	struct ask_password m = { .table = str_of(table),
		.user = str_of(user),
		.password = password };
	return passwords_check(&m);
}

START_TEST(right)
{
	ck_assert_int_eq(
	    check("accounts", users[_i].user, STR("force")), VAULT_RIGHT);
	ck_assert_int_eq(
	    check("accounts", users[_i].user, STR("Force")), VAULT_WRONG);
	ck_assert_int_eq(
	    check("accounts", users[_i].user, STR("")), VAULT_WRONG);
	ck_assert_int_eq(
	    check("accounts", users[_i].user, STR("force\0x")), VAULT_WRONG);
}

END_TEST

START_TEST(scram_as_password)
{
	ck_assert_int_eq(check("accounts", "user", STR("pencil")), VAULT_RIGHT);
	ck_assert_int_eq(check("accounts", "USER", STR("pencil")), VAULT_RIGHT);
	ck_assert_int_eq(check("accounts", "user", STR("force")), VAULT_WRONG);
}

END_TEST

/* Nothing that the value says about itself lets anybody in. */
START_TEST(not_understood)
{
	const char *user = users[_i].user;
	enum vault_verdict v = check("accounts", user, STR("force"));
	ck_assert(v == VAULT_FAULT || v == VAULT_WRONG);
	ck_assert_int_ne(check("accounts", user, STR("")), VAULT_RIGHT);
	if (users[_i].value != NULL)
		ck_assert_int_ne(
		    check("accounts", user, str_of(users[_i].value)),
		    VAULT_RIGHT);
}

END_TEST

START_TEST(nobody)
{
	ck_assert_int_eq(check("accounts", "jar", STR("force")), VAULT_WRONG);
	ck_assert_int_eq(check("accounts", "", STR("force")), VAULT_WRONG);
	ck_assert_int_eq(check("none", "yes", STR("force")), VAULT_FAULT);
	/* A table that is there, but not of `auth'. */
	ck_assert_int_eq(check("others", "yes", STR("force")), VAULT_FAULT);
}

END_TEST

START_TEST(longest)
{
	char text[VAULT_SECRET_MAX];
	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(
	    check("accounts", "yes", (struct str){ text, sizeof(text) }),
	    VAULT_WRONG);
	ck_assert_int_eq(
	    check("accounts", "user", (struct str){ text, sizeof(text) }),
	    VAULT_WRONG);
}

END_TEST

/* Who is not there gets a hash of the kinds that are: the samples. */
START_TEST(samples)
{
	const struct accounts *a = accounts_find(STR("accounts"));
	ck_assert_ptr_nonnull(a);
	/* What crypt() itself will refuse looks as good here. */
	ck_assert_uint_eq(a->nsamples, 9);
	ck_assert_uint_eq(a->nbad, 8);
	for (size_t i = 0; i < a->nsamples; i++)
		ck_assert_int_ne(secret_kind_of(a->samples[i]), SECRET_NONE);
	ck_assert(str_eq(a->scram, STR(SCRAM)));
	a = accounts_find(STR("hashes"));
	ck_assert_ptr_nonnull(a);
	ck_assert_uint_eq(a->nsamples, 1);
	ck_assert_uint_eq(a->scram.len, 0);
}

END_TEST

/* --- SCRAM --- */

static struct scram_secret
first(const char *table, const char *user)
{
	struct scram_secret s = { 0 };
	struct ask_scram m = { .table = str_of(table), .user = str_of(user) };
	ck_assert_int_eq(passwords_scram(&m, &s), VAULT_RIGHT);
	return s;
}

static bool
same_salt(const struct scram_secret *a, const struct scram_secret *b)
{
	return a->salt_len == b->salt_len &&
	       memcmp(a->salt, b->salt, a->salt_len) == 0;
}

START_TEST(scram_salt)
{
	struct scram_secret own = first("accounts", "user");
	struct scram_secret jar = first("accounts", "jar");
	struct scram_secret again = first("accounts", "JAR");
	struct scram_secret other = first("accounts", "jarr");
	/* Has a password, but no secret of this kind. */
	struct scram_secret yes = first("accounts", "yes");
	struct scram_secret elsewhere = first("hashes", "jar");
	struct ask_scram none = { .table = STR("others"), .user = STR("yes") };
	ck_assert_uint_eq(own.iterations, 4096);
	ck_assert_uint_eq(own.salt_len, 16);
	ck_assert(same_salt(&jar, &again));
	ck_assert(!same_salt(&jar, &own));
	ck_assert(!same_salt(&jar, &other));
	ck_assert(!same_salt(&jar, &yes));
	ck_assert(!same_salt(&jar, &elsewhere));
	ck_assert_uint_eq(jar.iterations, own.iterations);
	ck_assert_uint_eq(jar.salt_len, own.salt_len);
	ck_assert_uint_eq(elsewhere.iterations, SCRAM_ITERATIONS_MIN);
	ck_assert_int_eq(passwords_scram(&none, &own), VAULT_FAULT);
}

END_TEST

/* The longest salt there is; the other three in base64. */
#define LONG_SALT                                                          \
	"{SCRAM-SHA-256}5000,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g" \
	"ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==,"                    \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"                    \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

/* Made up ones look like any, and say nothing of the keys behind them. */
START_TEST(scram_long_salt)
{
	struct config *c = config_new();
	struct table_builder *b = table_builder_new("accounts");
	struct scram_secret jar;
	uint8_t key[SCRAM_HASH], keys[SCRAM_HASH];
	ck_assert_int_eq(table_builder_add(b, STR("user"), LONG_SALT, NULL), 0);
	c->tables = xcalloc(1, sizeof(*c->tables));
	c->tables[0] =
	    table_open(table_builder_seal(&b, NULL), "accounts", NULL);
	c->ntables = 1;
	c->listeners = xcalloc(1, sizeof(*c->listeners));
	c->nlisteners = 1;
	c->listeners[0].auth = c->tables[0];
	passwords_set_config(c);
	jar = first("accounts", "jar");
	ck_assert_uint_eq(jar.iterations, 5000);
	ck_assert_uint_eq(jar.salt_len, SCRAM_SALT_MAX);
	ck_assert_int_ne(
	    memcmp(jar.salt, jar.salt + SCRAM_HASH, SCRAM_HASH), 0);
	for (size_t i = 0; i <= SCRAM_SALT_MAX - SCRAM_HASH; i += SCRAM_HASH) {
		memcpy(key, jar.salt + i, sizeof(key));
		scram_hmac((struct str){ (const char *)key, sizeof(key) },
		    STR("stored"), keys);
		ck_assert_int_ne(memcmp(keys, jar.stored_key, SCRAM_HASH), 0);
	}
	config_unref(&c);
	passwords_set_config(conf);
}

END_TEST

static enum vault_verdict
prove(const char *table, const char *user, const char *proof)
{
	uint8_t signature[SCRAM_HASH];
	struct buf b;
	buf_init(&b, 64);
	ck_assert_int_eq(base64_decode(str_of(proof), &b), 0);
	struct ask_scram_proof m = { .table = str_of(table),
		.user = str_of(user),
		.auth_message = STR(AUTH_MESSAGE),
		.proof = buf_str(&b) };
	enum vault_verdict v = passwords_scram_proof(&m, signature);
	buf_clear(&b);
	return v;
}

START_TEST(scram_proof)
{
	ck_assert_int_eq(prove("accounts", "user", PROOF), VAULT_RIGHT);
	ck_assert_int_eq(prove("accounts", "yes", PROOF), VAULT_WRONG);
	ck_assert_int_eq(prove("accounts", "jar", PROOF), VAULT_WRONG);
	ck_assert_int_eq(prove("accounts", "broken", PROOF), VAULT_WRONG);
	ck_assert_int_eq(prove("hashes", "user", PROOF), VAULT_WRONG);
	ck_assert_int_eq(prove("others", "user", PROOF), VAULT_FAULT);
	ck_assert_int_eq(prove("accounts", "user", ""), VAULT_WRONG);
}

END_TEST

START_TEST(config_changes)
{
	struct config *c = config_new();
	passwords_set_config(c);
	ck_assert_int_eq(check("accounts", "yes", STR("force")), VAULT_FAULT);
	config_unref(&c);
	passwords_set_config(conf);
	ck_assert_int_eq(check("accounts", "yes", STR("force")), VAULT_RIGHT);
}

END_TEST

int
main(void)
{
	enum { TAKEN = 6, NOT_TAKEN = 7 };

	Suite *s = suite_create("passwords");
	TCase *t = tcase_create("passwords");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, right, 0, TAKEN);
	tcase_add_test(t, scram_as_password);
	tcase_add_loop_test(
	    t, not_understood, NOT_TAKEN, sizeof(users) / sizeof(users[0]));
	tcase_add_test(t, nobody);
	tcase_add_test(t, longest);
	tcase_add_test(t, samples);
	tcase_add_test(t, scram_salt);
	tcase_add_test(t, scram_long_salt);
	tcase_add_test(t, scram_proof);
	tcase_add_test(t, config_changes);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
