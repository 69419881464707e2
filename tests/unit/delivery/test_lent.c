/* Questions to the vaults: credentials and signatures, answered, refused,
 * cancelled, and with a vault that is not there, dies, or is replaced. */
#include <check.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/from_vault.h"
#include "edges/delivery_vault.h"
#include "edges/edges.h"
#include "lib/base/alloc.h"
#include "lib/net/stream.h"
#include "lib/net/tls.h"
#include "lib/net/tls_client.h"

enum { ASKED_MAX = 8, GUARD_MS = 60000 };

static struct loop *loop;
static struct timer *guard;
static struct channel *vault;
static uint64_t asked[ASKED_MAX];
static size_t nasked, ncalled;
static bool found;
static char user[256], password[256];
static EVP_PKEY *key; /* of our certificate */

static void
on_guard(void *ctx)
{
	(void)ctx;
	ck_abort_msg("stuck");
}

static void
on_ask_credentials(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_credentials *m = msg;

	(void)ctx;
	(void)ch;
	ck_assert(str_eq(m->table, STR("relays")));
	ck_assert(str_eq(m->label, STR("hub")));
	ck_assert_uint_lt(nasked, ASKED_MAX);
	asked[nasked++] = id;
	loop_stop(loop);
}

/* As the vault does it. */
static void
on_ask_sign(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_client_sign *m = msg;
	uint8_t out[VAULT_SIGN_MAX];
	size_t n = sizeof(out);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);

	(void)ctx;
	ck_assert_uint_lt(nasked, ASKED_MAX);
	asked[nasked++] = id;
	ck_assert_int_eq(m->scheme, VAULT_ECDSA);
	ck_assert_int_eq(EVP_PKEY_sign_init(c), 1);
	ck_assert_int_eq(EVP_PKEY_sign(c, out, &n, (const uint8_t *)m->input.p,
			     m->input.len),
	    1);
	EVP_PKEY_CTX_free(c);
	struct answer_client_signed a = { .output = { (char *)out, n } };
	channel_tell(ch, TYPE_answer_client_signed, &a, id);
}

/* It dies over it. */
static void
on_ask_sign_dying(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	(void)id;
	(void)ch;
	nasked++;
	channel_free(&vault);
}

static const struct handler lives[] = {
	{ TYPE_ask_credentials, on_ask_credentials },
	{ TYPE_ask_client_sign, on_ask_sign },
	{ 0, NULL },
};

static const struct handler dies[] = {
	{ TYPE_ask_client_sign, on_ask_sign_dying },
	{ 0, NULL },
};

static void
connect_to(uint16_t instance, const struct handler *handlers)
{
	int pair[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	channel_free(&vault);
	vault = channel_new(
	    loop, pair[1], &delivery_vault_edge, EDGE_B, handlers, NULL, NULL);
	ck_assert_ptr_nonnull(from_vault_open(instance, pair[0]));
}

static void
setup(void)
{
	loop = loop_new();
	guard = timer_new(loop, on_guard, NULL);
	timer_set(guard, GUARD_MS);
	nasked = ncalled = 0;
	from_vault_init(loop);
}

static void
teardown(void)
{
	from_vault_close();
	channel_free(&vault);
	timer_free(&guard);
	loop_settle(loop);
	loop_free(&loop);
}

/* --- credentials --- */

static void
on_credentials(void *ctx, bool is, struct str u, struct str p)
{
	ck_assert_ptr_eq(ctx, &found);
	ncalled++;
	found = is;
	ck_assert(u.len < sizeof(user) && p.len < sizeof(password));
	memcpy(user, u.p, u.len);
	user[u.len] = '\0';
	memcpy(password, p.p, p.len);
	password[p.len] = '\0';
	loop_stop(loop);
}

static struct credentials_wait
wait_new(void)
{
	return (struct credentials_wait){ 0, on_credentials, &found };
}

static void
ask(struct credentials_wait *w)
{
	from_vault_ask_credentials("relays", "hub", w);
	ck_assert_uint_ne(w->id, 0);
	ck_assert_uint_eq(ncalled, 0);
}

static void
answer(size_t i, bool is)
{
	struct answer_credentials a = { .found = is,
		.user = is ? STR("joe") : STR(""),
		.password = is ? STR("se:cret") : STR("") };

	channel_tell(vault, TYPE_answer_credentials, &a, asked[i]);
}

START_TEST(lent)
{
	struct credentials_wait w = wait_new();

	connect_to(VAULT_PASSWORDS, lives);
	ask(&w);
	loop_run(loop);
	answer(0, _i == 0);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert_uint_eq(w.id, 0);
	ck_assert_int_eq(found, _i == 0);
	ck_assert_str_eq(user, _i == 0 ? "joe" : "");
	ck_assert_str_eq(password, _i == 0 ? "se:cret" : "");
}

END_TEST

/* None at all, and one of keys only. */
START_TEST(no_vault)
{
	struct credentials_wait w = wait_new();

	if (_i == 1)
		connect_to(VAULT_KEYS, lives);
	ask(&w);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert(!found);
	ck_assert_uint_eq(nasked, 0);
	/* Who has gone meanwhile is not called. */
	ncalled = 0;
	ask(&w);
	from_vault_cancel(&w);
	loop_settle(loop);
	ck_assert_uint_eq(ncalled, 0);
}

END_TEST

START_TEST(vault_dies)
{
	struct credentials_wait w = wait_new(), next = wait_new();

	connect_to(VAULT_PASSWORDS, lives);
	ask(&w);
	loop_run(loop);
	channel_free(&vault);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert(!found);
	ncalled = 0;
	connect_to(VAULT_PASSWORDS, lives);
	ask(&next);
	loop_run(loop);
	answer(1, true);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert(found);
}

END_TEST

/* The successor is there before the end of the former was seen; ids are the
 * same, questions are not. */
START_TEST(vault_replaced)
{
	struct credentials_wait w = wait_new(), next = wait_new();
	struct channel *former;

	connect_to(VAULT_PASSWORDS, lives);
	ask(&w);
	loop_run(loop);
	former = vault;
	vault = NULL;
	connect_to(VAULT_PASSWORDS, lives);
	from_vault_cancel(&w);
	ask(&next);
	loop_run(loop);
	ck_assert_uint_eq(asked[0], asked[1]);
	answer(1, true);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert(found);
	channel_free(&former);
}

END_TEST

START_TEST(cancelled)
{
	struct credentials_wait w = wait_new(), next = wait_new();

	connect_to(VAULT_PASSWORDS, lives);
	ask(&w);
	loop_run(loop);
	from_vault_cancel(&w);
	ck_assert_uint_eq(w.id, 0);
	from_vault_cancel(&w);
	answer(0, true);
	ask(&next);
	loop_run(loop);
	answer(1, false);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert(!found);
}

END_TEST

/* What is not an answer to this question is none. */
START_TEST(other_answer)
{
	struct credentials_wait w = wait_new();
	struct answer_client_signed a = { .output = STR("x") };

	connect_to(VAULT_PASSWORDS, lives);
	ask(&w);
	loop_run(loop);
	channel_tell(vault, TYPE_answer_client_signed, &a, asked[0]);
	loop_run(loop);
	ck_assert_uint_eq(ncalled, 1);
	ck_assert(!found);
}

END_TEST

START_TEST(no_such_vault)
{
	int pair[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_ptr_null(from_vault_open(VAULT_INSTANCES, pair[0]));
	close(pair[1]);
}

END_TEST

/* --- signatures, in a handshake --- */

static struct stream *stream;
static struct timer *tick;
static int secured;

static size_t
on_data(void *ctx, struct str in)
{
	(void)ctx;
	return in.len;
}

static void
on_secure(void *ctx, const struct fault *why)
{
	(void)ctx;
	secured = why == NULL ? 1 : -1;
}

static void
on_end(void *ctx, int error)
{
	(void)ctx;
	(void)error;
}

static void
nothing(void *ctx)
{
	(void)ctx;
}

static const struct stream_ops ops = { on_data, nothing, nothing, on_end,
	on_secure };

static char *
certificate(X509 **out)
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
	*out = cert;
	return pem;
}

static int
take_any(X509_STORE_CTX *c, void *unused)
{
	(void)c;
	(void)unused;
	return 1;
}

static void
on_tick(void *ctx)
{
	SSL_do_handshake(ctx);
	if (secured != 0)
		loop_stop(loop);
	else
		timer_set(tick, 0);
}

/* With a server that wants our certificate; 1: it went well, -1. */
static int
shake_hands(void)
{
	struct fault why = { .class = FAULT_NONE };
	struct tls_client *client;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *cert;
	char *pem;
	int fds[2];
	SSL *server;

	tls_prepare();
	from_vault_init(loop);
	key = EVP_EC_gen("P-256");
	pem = certificate(&cert);
	client = tls_client_new(STR(""), NULL, &why);
	ck_assert_ptr_nonnull(client);
	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, key);
	SSL_CTX_set_verify(
	    ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, take_any, NULL);
	server = SSL_new(ctx);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	SSL_set_fd(server, fds[1]);
	SSL_set_accept_state(server);
	stream = stream_new(loop, fds[0], false, &ops, NULL);
	struct tls *t =
	    tls_connect(client, &(struct tls_demand){ .chain = pem }, &why);
	ck_assert_msg(t != NULL, "%s", why.text);
	stream_start_tls(stream, t);
	secured = 0;
	tick = timer_new(loop, on_tick, server);
	timer_set(tick, 0);
	loop_run(loop);
	timer_free(&tick);
	stream_close(&stream);
	SSL_free(server);
	SSL_CTX_free(ctx);
	close(fds[1]);
	tls_client_unref(&client);
	X509_free(cert);
	EVP_PKEY_free(key);
	free(pem);
	return secured;
}

START_TEST(signs)
{
	connect_to(VAULT_KEYS, lives);
	ck_assert_int_eq(shake_hands(), 1);
	ck_assert_uint_eq(nasked, 1);
}

END_TEST

/* No vault: the handshake fails, and we live. */
START_TEST(cannot_sign)
{
	if (_i == 1)
		connect_to(VAULT_PASSWORDS, lives);
	else if (_i == 2)
		connect_to(VAULT_KEYS, dies);
	ck_assert_int_eq(shake_hands(), -1);
	ck_assert_uint_eq(nasked, _i == 2);
	/* The next one does better. */
	nasked = 0;
	connect_to(VAULT_KEYS, lives);
	ck_assert_int_eq(shake_hands(), 1);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("lent");
	TCase *t = tcase_create("lent");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, lent, 0, 2);
	tcase_add_loop_test(t, no_vault, 0, 2);
	tcase_add_test(t, vault_dies);
	tcase_add_test(t, vault_replaced);
	tcase_add_test(t, cancelled);
	tcase_add_test(t, other_answer);
	tcase_add_test(t, no_such_vault);
	tcase_add_test(t, signs);
	tcase_add_loop_test(t, cannot_sign, 0, 3);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
