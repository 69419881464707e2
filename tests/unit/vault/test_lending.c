/* The edge to delivery: client signatures, with the keys of client
 * certificates alone and over signatures' padding alone; credentials, of
 * relays alone; what the other instance refuses. */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/ipc/channel.h"
#include "vault/accounts.h"
#include "vault/askers.h"
#include "vault/credentials.h"
#include "vault/from_delivery.h"
#include "vault/from_smtpd.h"
#include "vault/key_uses.h"
#include "vault/keys.h"
#include "vault/passwords.h"
#include "vault/tally.h"

enum { KEYS = 3 };

static struct loop *loop;
static struct config *conf;
static struct channel *agent, *worker;
/* Of a relay's certificate, ECDSA and RSA; of a listener's. */
static EVP_PKEY *keys[KEYS];
static uint8_t ids[KEYS][VAULT_KEY_ID];

/* The last answer. */
static struct {
	bool came, faulted, found;
	size_t output;
	char user[256], password[VAULT_SECRET_MAX + 1];
} answer;

static const struct handler none[] = { { 0, NULL } };

static void
on_closed(void *ctx, struct channel *ch)
{
	struct channel **mine = ctx;
	if (*mine == ch)
		channel_free(mine);
}

static struct channel *
connect_as(const struct edge *edge, struct channel **mine,
    struct channel *(*add)(uint16_t instance, int socket))
{
	int pair[2];
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	add(0, pair[1]);
	return channel_new(loop, pair[0], edge, EDGE_A, none, on_closed, mine);
}

/* --- the configuration --- */

static char *
certificate(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *pem;
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
	ck_assert_int_eq(PEM_write_bio_X509(bio, cert), 1);
	long n = BIO_get_mem_data(bio, &text);
	pem = xstrndup(text, (size_t)n);
	BIO_free(bio);
	X509_free(cert);
	return pem;
}

static void
bring(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	int fd = memfd_create("key", MFD_CLOEXEC);
	ck_assert_int_eq(
	    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	long n = BIO_get_mem_data(bio, &text);
	ck_assert_int_eq(write(fd, text, (size_t)n), n);
	keys_bring(STR("file"), fd);
	BIO_free(bio);
}

static void
make_key(size_t i)
{
	uint8_t *der = NULL;
	int len;
	if (keys[i] == NULL)
		keys[i] = i == 1 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	len = i2d_PUBKEY(keys[i], &der);
	EVP_Digest(der, (size_t)len, ids[i], NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
}

static struct table *
make_table(const char *name)
{
	struct fault why = { 0 };
	struct table_builder *b = table_builder_new(name);
	static const char *const rows[][2] = {
		{ "hub", "joe:se:cret" },
		{ "bare", "joe" },
		{ "nobody", ":secret" },
		{ "empty", "joe:" },
		{ "other", "jim:beam" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(
		    table_builder_add(b, str_of(rows[i][0]), rows[i][1], &why),
		    0);
	int fd = table_builder_seal(&b, &why);
	ck_assert_int_ge(fd, 0);
	return table_open(fd, name, &why);
}

/* Relays want these labels of the table `relays'; `users' is a listener's. */
static const char *const labels[] = { "hub", "bare", "nobody", "empty",
	"missing" };

enum { LABELS = sizeof(labels) / sizeof(labels[0]) };

static void
make_config(void)
{
	conf = config_new();
	conf->tables = xcalloc(2, sizeof(*conf->tables));
	conf->tables[0] = make_table("relays");
	conf->tables[1] = make_table("users");
	conf->ntables = 2;
	conf->pkis = xcalloc(2, sizeof(*conf->pkis));
	conf->npkis = 2;
	for (size_t i = 0; i < KEYS; i++) {
		struct pki *p = &conf->pkis[i / 2];
		make_key(i);
		p->certs[p->ncerts++].chain = certificate(keys[i]);
	}
	conf->listeners = xcalloc(1, sizeof(*conf->listeners));
	conf->nlisteners = 1;
	conf->listeners[0].auth = conf->tables[1];
	conf->listeners[0].pkis[0] = &conf->pkis[1];
	conf->listeners[0].npkis = 1;
	conf->actions = xcalloc(LABELS, sizeof(*conf->actions));
	conf->nactions = LABELS;
	for (size_t i = 0; i < LABELS; i++) {
		conf->actions[i].name = xstrdup(labels[i]);
		conf->actions[i].auth = conf->tables[0];
		conf->actions[i].auth_label = xstrdup(labels[i]);
	}
	conf->actions[0].pki = &conf->pkis[0];
}

static void
start(enum vault_instance instance)
{
	loop = loop_new();
	from_smtpd_init(loop, instance);
	from_delivery_init(instance);
	make_config();
	if (instance == VAULT_KEYS) {
		keys_init();
		for (size_t i = 0; i < KEYS; i++)
			bring(keys[i]);
		keys_change();
		key_uses_set_config(conf);
	} else {
		passwords_init();
		passwords_set_config(conf);
		credentials_set_config(conf);
	}
	agent = connect_as(&delivery_vault_edge, &agent, from_delivery_add);
	worker = connect_as(&smtpd_vault_edge, &worker, from_smtpd_add);
}

static void
teardown(void)
{
	channel_free(&agent);
	channel_free(&worker);
	askers_clear();
	accounts_clear();
	credentials_clear();
	key_uses_clear();
	keys_clear();
	config_unref(&conf);
	loop_settle(loop);
	loop_free(&loop);
	for (size_t i = 0; i < KEYS; i++) {
		EVP_PKEY_free(keys[i]);
		keys[i] = NULL;
	}
}

/* --- questions --- */

static void
copy(char *to, struct str s)
{
	memcpy(to, s.p, s.len);
	to[s.len] = '\0';
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_credentials *c = msg;
	bool is_agent = ctx == &agent;
	ck_assert(!answer.came);
	answer.came = true;
	answer.faulted = fault != NULL;
	if (fault != NULL) {
		loop_stop(loop);
		return;
	}
	if (is_agent && type == TYPE_answer_client_signed) {
		answer.output =
		    ((const struct answer_client_signed *)msg)->output.len;
	} else if (is_agent && type == TYPE_answer_credentials) {
		answer.found = c->found != 0;
		copy(answer.user, c->user);
		copy(answer.password, c->password);
	} else {
		ck_assert(!is_agent && type == TYPE_answer_signed);
		answer.output = ((const struct answer_signed *)msg)->output.len;
	}
	loop_stop(loop);
}

static void
ask(struct channel **ch, uint16_t type, const void *msg)
{
	memset(&answer, 0, sizeof(answer));
	channel_ask(*ch, type, msg, on_answer, ch);
	loop_run(loop);
	ck_assert(answer.came && !answer.faulted);
}

static size_t
sign(size_t key, enum vault_scheme scheme, const uint8_t *input, size_t len)
{
	struct ask_client_sign m = { .key = { (char *)ids[key], VAULT_KEY_ID },
		.scheme = (uint8_t)scheme,
		.input = { (const char *)input, len } };
	ask(&agent, TYPE_ask_client_sign, &m);
	return answer.output;
}

static size_t
sign_as_smtpd(size_t key, const uint8_t *input, size_t len)
{
	struct ask_sign m = { .key = { (char *)ids[key], VAULT_KEY_ID },
		.scheme = VAULT_ECDSA,
		.input = { (const char *)input, len } };
	ask(&worker, TYPE_ask_sign, &m);
	return answer.output;
}

static bool
lend(const char *table, const char *label)
{
	struct ask_credentials m = { .table = str_of(table),
		.label = str_of(label) };
	ask(&agent, TYPE_ask_credentials, &m);
	if (!answer.found) {
		ck_assert_str_eq(answer.user, "");
		ck_assert_str_eq(answer.password, "");
	}
	return answer.found;
}

static uint64_t
tally(enum tally what)
{
	return tally_counters()[what].value;
}

/* --- tests --- */

/* As PKCS #1 v1.5 pads a digest of SHA-256. */
static void
pad(uint8_t block[static 256])
{
	static const uint8_t info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09,
		0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
		0x00, 0x04, 0x20 };
	memset(block, 0xff, 256);
	block[0] = 0;
	block[1] = 1;
	block[256 - 32 - sizeof(info) - 1] = 0;
	memcpy(block + 256 - 32 - sizeof(info), info, sizeof(info));
	memset(block + 256 - 32, 0x5a, 32);
}

START_TEST(signs_for_relays)
{
	uint8_t digest[32] = { 1 }, block[256];
	start(VAULT_KEYS);
	ck_assert_uint_gt(sign(0, VAULT_ECDSA, digest, sizeof(digest)), 0);
	pad(block);
	ck_assert_uint_eq(sign(1, VAULT_RSA_RAW, block, sizeof(block)), 256);
	ck_assert_uint_eq(tally(TALLY_SIGNATURES), 2);
	/* What was encrypted to the key looks otherwise. */
	block[1] = 2;
	ck_assert_uint_eq(sign(1, VAULT_RSA_RAW, block, sizeof(block)), 0);
	memset(block, 0x77, sizeof(block));
	block[0] = 0;
	ck_assert_uint_eq(sign(1, VAULT_RSA_RAW, block, sizeof(block)), 0);
	ck_assert_uint_eq(sign(0, VAULT_ECDSA, digest, 31), 0);
	ck_assert_uint_eq(sign(1, VAULT_ECDSA, digest, sizeof(digest)), 0);
	ck_assert_uint_eq(tally(TALLY_SIGNATURES), 2);
	ck_assert_uint_eq(tally(TALLY_FAILURES), 4);
}

END_TEST

/* Nobody signs as somebody whom he does not play. */
START_TEST(each_his_own_keys)
{
	uint8_t digest[32] = { 1 };
	start(VAULT_KEYS);
	ck_assert_uint_eq(sign(2, VAULT_ECDSA, digest, sizeof(digest)), 0);
	ck_assert_uint_gt(sign_as_smtpd(2, digest, sizeof(digest)), 0);
	ck_assert_uint_eq(sign_as_smtpd(0, digest, sizeof(digest)), 0);
}

END_TEST

/* As keys: what was so before is so until the next change. */
START_TEST(uses_change)
{
	uint8_t digest[32] = { 1 };
	start(VAULT_KEYS);
	conf->actions[0].pki = NULL;
	key_uses_set_config(conf);
	ck_assert_uint_gt(sign(0, VAULT_ECDSA, digest, sizeof(digest)), 0);
	key_uses_set_config(conf);
	ck_assert_uint_eq(sign(0, VAULT_ECDSA, digest, sizeof(digest)), 0);
	ck_assert_uint_gt(sign_as_smtpd(2, digest, sizeof(digest)), 0);
}

END_TEST

START_TEST(lends)
{
	start(VAULT_PASSWORDS);
	ck_assert(lend("relays", "hub"));
	ck_assert_str_eq(answer.user, "joe");
	ck_assert_str_eq(answer.password, "se:cret");
	ck_assert(lend("relays", "empty"));
	ck_assert_str_eq(answer.user, "joe");
	ck_assert_str_eq(answer.password, "");
	ck_assert_uint_eq(tally(TALLY_CREDENTIALS), 2);
}

END_TEST

/* No user, no colon, no such label; a label that no relay has; a table of a
 * listener's users; no table. */
static const char *const not_lent[][2] = {
	{ "relays", "nobody" },
	{ "relays", "bare" },
	{ "relays", "missing" },
	{ "relays", "other" },
	{ "users", "hub" },
	{ "tables", "hub" },
	{ "", "" },
};

START_TEST(does_not_lend)
{
	start(VAULT_PASSWORDS);
	ck_assert(!lend(not_lent[_i][0], not_lent[_i][1]));
	ck_assert_uint_eq(tally(TALLY_CREDENTIALS), 0);
	ck_assert_uint_eq(tally(TALLY_FAILURES), 1);
}

END_TEST

START_TEST(others_refuse)
{
	uint8_t digest[32] = { 1 };
	start(VAULT_KEYS);
	ck_assert(!lend("relays", "hub"));
	teardown();
	start(VAULT_PASSWORDS);
	ck_assert_uint_eq(sign(0, VAULT_ECDSA, digest, sizeof(digest)), 0);
}

END_TEST

/* Of one role with the other's number nothing is the worse. */
START_TEST(agent_comes_again)
{
	uint8_t digest[32] = { 1 };
	start(VAULT_KEYS);
	channel_free(&agent);
	agent = connect_as(&delivery_vault_edge, &agent, from_delivery_add);
	ck_assert_uint_gt(sign(0, VAULT_ECDSA, digest, sizeof(digest)), 0);
	ck_assert_uint_gt(sign_as_smtpd(2, digest, sizeof(digest)), 0);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("lending");
	TCase *t = tcase_create("lending");
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, signs_for_relays);
	tcase_add_test(t, each_his_own_keys);
	tcase_add_test(t, uses_change);
	tcase_add_test(t, lends);
	tcase_add_loop_test(
	    t, does_not_lend, 0, sizeof(not_lent) / sizeof(not_lent[0]));
	tcase_add_test(t, others_refuse);
	tcase_add_test(t, agent_comes_again);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
