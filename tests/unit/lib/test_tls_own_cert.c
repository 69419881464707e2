/* Our own certificate towards servers, whose key is elsewhere: shown when it is
 * asked for, signed with by the signer, or not. */
#include "tests/unit/lib/tls_servers.h"

static struct party *root, *mx;
static struct one *rsa, *ec;
static struct tls_client *ours;
static SSL_CTX *server;
static const char *const name = "mx.example";

static void
setup(void)
{
	servers_enter();
	if (root == NULL) {
		root = party_new(
		    &(struct party_like){ .cn = "root", .is_ca = true });
		mx = party_new(&(struct party_like){
		    .cn = "mx", .san = "DNS:mx.example", .by = root });
		rsa = one_new(KIND_RSA, "client", "DNS:client.example", NULL);
		ec = one_new(KIND_EC, "client", "DNS:client.example", NULL);
	}
	ours = trusting(root->pem);
	server = serve(mx, NULL, 0);
}

static void
teardown(void)
{
	SSL_CTX_free(server);
	tls_client_unref(&ours);
	servers_leave();
}

static struct tls_demand
demand(enum tls_proof proof)
{
	return (struct tls_demand){
		.server_name = name, .proof = proof, .names = &name, .nnames = 1
	};
}

static int
take_any(X509_STORE_CTX *c, void *unused)
{
	(void)c;
	(void)unused;
	return 1;
}

static void
want_certificate(SSL_CTX *ctx)
{
	SSL_CTX_set_verify(
	    ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, take_any, NULL);
}

START_TEST(client_certificates)
{
	struct one *me = _i / 2 % 2 == 0 ? rsa : ec;
	enum tls_proof proof = _i < 4 ? TLS_PROOF_NONE : TLS_PROOF_NAME;
	struct tls_demand d = demand(proof);
	struct client c;

	d.chain = me->pem;
	SSL_CTX_set_max_proto_version(server, versions[_i % 2]);
	/* Who does not ask for it gets none. */
	meet(&c, server, ours, &d);
	ck_assert(c.end.secured);
	ck_assert_uint_eq(signer.nsigned, 0);
	ck_assert_ptr_null(SSL_get0_peer_certificate(c.ssl));
	client_close(&c);
	want_certificate(server);
	meet(&c, server, ours, &d);
	ck_assert_msg(c.end.secured && c.done, "%s", c.end.why);
	ck_assert_uint_eq(signer.nsigned, 1);
	ck_assert_int_eq(
	    X509_cmp(SSL_get0_peer_certificate(c.ssl), me->cert), 0);
	client_close(&c);
}

END_TEST

START_TEST(no_signature)
{
	struct tls_demand d = demand(TLS_PROOF_NONE);
	struct client c;

	d.chain = _i / 2 % 2 == 0 ? rsa->pem : ec->pem;
	want_certificate(server);
	SSL_CTX_set_max_proto_version(server, versions[_i % 2]);
	signer.how = _i < 4 ? SIGNER_FAILS : SIGNER_REFUSES;
	meet_open(&c, server, ours, &d);
	timer_set(guard, GUARD_MS);
	while (!c.end.failed) {
		client_step(&c);
		settle();
	}
	timer_stop(guard);
	ck_assert_ptr_nonnull(strstr(c.end.why, "the key's owner"));
	ck_assert_int_eq(tls_failure(tls_of(&c)), TLS_NO_HANDSHAKE);
	client_close(&c);
}

END_TEST

/* It is not waited for any longer. */
START_TEST(signer_sleeps)
{
	struct tls_demand d = demand(TLS_PROOF_NONE);
	struct client c;

	d.chain = ec->pem;
	want_certificate(server);
	SSL_CTX_set_max_proto_version(server, versions[_i]);
	signer.how = SIGNER_SLEEPS;
	meet_open(&c, server, ours, &d);
	timer_set(guard, GUARD_MS);
	while (signer.nasked == 0) {
		client_step(&c);
		settle();
	}
	timer_stop(guard);
	client_close(&c);
	ck_assert_uint_eq(signer.ncancelled, 1);
	signer.nasked = 0;
}

END_TEST

START_TEST(bad_certificate)
{
	static const char *const chains[] = { "", "text",
		"-----BEGIN CERTIFICATE-----\nAAAA\n"
		"-----END CERTIFICATE-----\n" };
	struct tls_demand d = demand(TLS_PROOF_NONE);
	struct fault why = { .class = FAULT_NONE };

	d.chain = chains[_i];
	ck_assert_ptr_null(tls_connect(ours, &d, &why));
	ck_assert_str_ne(why.text, "");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("tls own cert");
	TCase *t = tcase_create("own cert");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, client_certificates, 0, 8);
	tcase_add_loop_test(t, no_signature, 0, 8);
	tcase_add_loop_test(t, signer_sleeps, 0, 2);
	tcase_add_loop_test(t, bad_certificate, 0, 3);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	/* One process: keys are made once. */
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	parties_close();
	world_close();
	return failed == 0 ? 0 : 1;
}
