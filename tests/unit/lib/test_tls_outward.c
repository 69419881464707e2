/* Connections to servers: those that do it wrong, and sessions taken up again
 * or not. */
#include "lib/base/clock.h"
#include "lib/net/tls_own.h"
#include "tests/unit/lib/tls_servers.h"

static struct party *root, *mx, *stranger;
static struct one *ec;
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
		mx = party_new(&(struct party_like){ .cn = "mx",
		    .san = "DNS:mx.example,IP:192.0.2.1",
		    .by = root,
		    .bits = 2048 });
		stranger = party_new(&(struct party_like){
		    .cn = "stranger", .san = "DNS:mx.example" });
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
	return (struct tls_demand){ .server_name = name,
		.proof = proof,
		.names = &name,
		.nnames = 1,
		.session_key = "192.0.2.1:25" };
}

/* --- servers that do it wrong --- */

static const struct {
	const char *bytes;
	size_t len;
} garbage[] = {
	{ "", 0 },
	{ "250 2.0.0 ok\r\n", 14 },
	{ "HTTP/1.1 400 Bad Request\r\n\r\n", 28 },
	{ "\x16\x03\x03\xff\xff\x02", 6 },
	{ "\x16\x03\x03\x00\x04\x02\xff\xff\xff", 9 },
	{ "\x15\x03\x03\x00\x02\x02\x28", 7 },
	{ "\x15\x03\x03\x00\x02\x01\x00", 7 },
	{ "\x17\x03\x03\x00\x01\x00", 6 },
	{ "\0\0\0\0\0\0\0\0", 8 },
};

START_TEST(no_server_hello)
{
	struct tls_demand d = demand((enum tls_proof)(_i % 2));
	const size_t len = garbage[_i / 2].len;
	struct client c;

	meet_open(&c, server, ours, &d);
	settle();
	ck_assert_int_eq(write(c.fd, garbage[_i / 2].bytes, len), (ssize_t)len);
	settle();
	shutdown(c.fd, SHUT_WR);
	timer_set(guard, GUARD_MS);
	while (!c.end.failed)
		settle();
	timer_stop(guard);
	ck_assert_str_ne(c.end.why, "");
	ck_assert_int_eq(tls_failure(tls_of(&c)), TLS_NO_HANDSHAKE);
	client_close(&c);
}

END_TEST

/* It says nothing: the deadline of the connection holds meanwhile. */
START_TEST(stalls)
{
	struct tls_demand d = demand(TLS_PROOF_NONE);
	struct client c;

	meet_open(&c, server, ours, &d);
	stream_deadline(c.end.stream, 1);
	timer_set(guard, GUARD_MS);
	while (!c.end.timed_out)
		settle();
	timer_stop(guard);
	ck_assert(!c.end.failed && !c.end.secured);
	client_close(&c);
}

END_TEST

/* It goes in the middle of it. */
START_TEST(leaves_in_between)
{
	struct tls_demand d = demand(TLS_PROOF_NONE);
	struct client c;

	SSL_CTX_set_max_proto_version(server, TLS1_2_VERSION);
	meet_open(&c, server, ours, &d);
	settle();
	client_step(&c);
	shutdown(c.fd, SHUT_WR);
	timer_set(guard, GUARD_MS);
	while (!c.end.failed)
		settle();
	timer_stop(guard);
	ck_assert_str_eq(c.end.why, "closed by the server");
	ck_assert_int_eq(tls_failure(tls_of(&c)), TLS_NO_HANDSHAKE);
	client_close(&c);
}

END_TEST

/* What is good enough for no proof, and what for none and for one. */
static const struct {
	int version;
	const char *ciphers;
	bool any, proven;
} rules[] = {
	{ TLS1_VERSION, "ALL:@SECLEVEL=0", false, false },
	{ TLS1_1_VERSION, "ALL:@SECLEVEL=0", false, false },
	{ TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", true, true },
	{ TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305", true, true },
	{ TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA", true, false },
	{ TLS1_2_VERSION, "AES256-SHA256", true, false },
	{ TLS1_2_VERSION, "AES128-GCM-SHA256", true, false },
	{ TLS1_2_VERSION, "NULL-SHA256:@SECLEVEL=0", false, false },
	{ TLS1_2_VERSION, "ADH-AES128-GCM-SHA256:@SECLEVEL=0", false, false },
	{ TLS1_2_VERSION, "AECDH-AES128-SHA:@SECLEVEL=0", false, false },
	{ TLS1_3_VERSION, "ALL", true, true },
};

START_TEST(versions_and_ciphers)
{
	bool proof = _i % 2 == 1;
	struct tls_demand d = demand(proof ? TLS_PROOF_NAME : TLS_PROOF_NONE);
	struct client c;

	SSL_CTX_set_min_proto_version(server, rules[_i / 2].version);
	SSL_CTX_set_max_proto_version(server, rules[_i / 2].version);
	SSL_CTX_set_dh_auto(server, 1);
	ck_assert_int_eq(
	    SSL_CTX_set_cipher_list(server, rules[_i / 2].ciphers), 1);
	meet(&c, server, ours, &d);
	ck_assert_int_eq(
	    c.end.secured, proof ? rules[_i / 2].proven : rules[_i / 2].any);
	if (c.end.secured)
		ck_assert_int_ge(info_of(&c).bits, 128);
	else
		ck_assert_int_eq(tls_failure(tls_of(&c)), TLS_NO_HANDSHAKE);
	client_close(&c);
}

END_TEST

/* One that has us answer without end; each is an answer that we owe. */
START_TEST(key_updates)
{
	struct tls_demand d = demand(TLS_PROOF_NAME);
	struct client c;
	int n = 0;

	meet(&c, server, ours, &d);
	ck_assert(c.end.secured);
	for (; n < 1000 && !c.end.ended; n++) {
		SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED);
		SSL_do_handshake(c.ssl);
		settle();
	}
	ck_assert_int_gt(n, 8);
	ck_assert(c.end.ended && c.end.error == EPROTO);
	client_close(&c);
}

END_TEST

START_TEST(negotiates_again)
{
	struct tls_demand d = demand(TLS_PROOF_NAME);
	struct client c;
	int n = 0;

	SSL_CTX_set_max_proto_version(server, TLS1_2_VERSION);
	meet(&c, server, ours, &d);
	ck_assert(c.end.secured);
	for (; n < 1000 && !c.end.ended; n++) {
		SSL_renegotiate(c.ssl);
		SSL_do_handshake(c.ssl);
		settle();
		/* Our no is a warning to it, or the end. */
		ERR_clear_error();
	}
	ck_assert(c.end.ended && c.end.error == EPROTO);
	ck_assert_uint_eq(c.end.got.len, 0);
	client_close(&c);
}

END_TEST

/* A record longer than any; an end without a goodbye. */
START_TEST(breaks_off)
{
	static const char record[16384 + 5] = { 0x17, 0x03, 0x03, 0x7f, 0x7f };
	struct tls_demand d = demand(TLS_PROOF_NONE);
	struct client c;

	SSL_CTX_set_max_proto_version(server, versions[_i % 2]);
	meet(&c, server, ours, &d);
	ck_assert(c.end.secured);
	SSL_write(c.ssl, "220 here\r\n", 10);
	if (_i < 2)
		ck_assert_int_eq(write(c.fd, record, sizeof(record)),
		    (ssize_t)sizeof(record));
	else
		shutdown(c.fd, SHUT_WR);
	timer_set(guard, GUARD_MS);
	while (!c.end.ended)
		settle();
	timer_stop(guard);
	ck_assert_uint_eq(c.end.got.len, 10);
	ck_assert_int_ne(c.end.error, 0);
	client_close(&c);
}

END_TEST

/* --- sessions --- */

static bool
resumes(SSL_CTX *at, struct tls_client *by, const struct tls_demand *d)
{
	struct client c;
	struct tls_info i;

	meet(&c, at, by, d);
	ck_assert_msg(c.end.secured, "%s", c.end.why);
	i = info_of(&c);
	client_close(&c);
	return i.resumed;
}

START_TEST(sessions)
{
	struct tls_demand d = demand((enum tls_proof)(_i / 2));
	struct tls_client *others = trusting(root->pem);

	SSL_CTX_set_max_proto_version(server, versions[_i % 2]);
	ck_assert(!resumes(server, ours, &d));
	ck_assert(resumes(server, ours, &d));
	/* One that was resumed is kept, or leaves one to be kept. */
	ck_assert(resumes(server, ours, &d));
	ck_assert(!resumes(server, others, &d));
	d.session_key = NULL;
	ck_assert(!resumes(server, ours, &d));
	d.session_key = "192.0.2.2:25";
	ck_assert(!resumes(server, ours, &d));
	tls_client_unref(&others);
}

END_TEST

static void
by_another_name(struct tls_demand *d)
{
	static const char *const others[] = { ".example" };

	d->names = others;
}

static void
by_two_names(struct tls_demand *d)
{
	static const char *const two[] = { "mx.example", "mail.example" };

	d->names = two;
	d->nnames = 2;
}

static void
by_address(struct tls_demand *d)
{
	static struct addr a;

	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &a), 0);
	d->names = NULL;
	d->nnames = 0;
	d->address = &a;
}

static void
by_sni(struct tls_demand *d)
{
	d->server_name = "mx2.example";
}

static void
by_record(struct tls_demand *d)
{
	static uint8_t digest[32];
	static struct tls_tlsa r = { 3, 0, 1, digest, sizeof(digest) };

	X509_digest(mx->cert, EVP_sha256(), digest, NULL);
	d->proof = TLS_PROOF_DANE;
	d->tlsas = &r;
	d->ntlsas = 1;
}

static void
by_another_record(struct tls_demand *d)
{
	static uint8_t digest[64];
	static struct tls_tlsa r = { 3, 0, 2, digest, sizeof(digest) };

	by_record(d);
	X509_digest(mx->cert, EVP_sha512(), digest, NULL);
	d->tlsas = &r;
}

static void
without_proof(struct tls_demand *d)
{
	d->proof = TLS_PROOF_NONE;
}

static void
with_certificate(struct tls_demand *d)
{
	d->chain = ec->pem;
}

static void
as_it_is(struct tls_demand *d)
{
	(void)d;
}

static void (*const ways[])(struct tls_demand *) = { as_it_is, by_another_name,
	by_two_names, by_address, by_sni, by_record, by_another_record,
	without_proof, with_certificate };

/* Under one key: a session is good for the very demand alone. */
START_TEST(sessions_do_not_cross)
{
	int n = COUNT(ways);
	struct tls_demand made = demand(TLS_PROOF_NAME);
	struct tls_demand wanted = demand(TLS_PROOF_NAME);
	int from = _i / n, to = _i % n;

	ways[from](&made);
	ways[to](&wanted);
	ck_assert(!resumes(server, ours, &made));
	ck_assert_int_eq(resumes(server, ours, &wanted), from == to);
}

END_TEST

/* An impostor whom nobody had to prove himself is no friend by it; what was
 * amiss with him is remembered. */
START_TEST(untrusted_sessions)
{
	struct tls_demand d = demand(TLS_PROOF_NONE);
	SSL_CTX *impostor = serve(stranger, NULL, 0);
	struct client c;

	SSL_CTX_set_max_proto_version(impostor, versions[_i]);
	for (int i = 0; i < 3; i++) {
		meet(&c, impostor, ours, &d);
		ck_assert(c.end.secured);
		ck_assert_int_eq(info_of(&c).resumed, i > 0);
		ck_assert_int_eq(tls_failure(tls_of(&c)), TLS_NOT_TRUSTED);
		ck_assert(!info_of(&c).verified);
		client_close(&c);
	}
	d.proof = TLS_PROOF_NAME;
	for (int i = 0; i < 2; i++) {
		meet(&c, impostor, ours, &d);
		ck_assert(c.end.failed);
		ck_assert_int_eq(SSL_session_reused(c.ssl), 0);
		ck_assert_int_eq(tls_failure(tls_of(&c)), TLS_NOT_TRUSTED);
		client_close(&c);
	}
	SSL_CTX_free(impostor);
}

END_TEST

/* A server that does not know the session shows itself anew, and is looked at
 * anew. */
START_TEST(forgotten_sessions)
{
	struct tls_demand d = demand(TLS_PROOF_NAME);
	SSL_CTX *next = serve(mx, NULL, 0),
		*impostor = serve(stranger, NULL, 0);
	struct client c;

	SSL_CTX_set_max_proto_version(server, versions[_i]);
	SSL_CTX_set_max_proto_version(next, versions[_i]);
	SSL_CTX_set_max_proto_version(impostor, versions[_i]);
	ck_assert(!resumes(server, ours, &d));
	ck_assert(!resumes(next, ours, &d));
	ck_assert(resumes(next, ours, &d));
	meet(&c, impostor, ours, &d);
	ck_assert(c.end.failed);
	ck_assert_int_eq(tls_failure(tls_of(&c)), TLS_NOT_TRUSTED);
	client_close(&c);
	/* A failure takes the session that was offered with it. */
	ck_assert(!resumes(next, ours, &d));
	SSL_CTX_free(next);
	SSL_CTX_free(impostor);
}

END_TEST

/* What stands on what, of a connection that is secured. */
static struct tls_wish
wish_of(SSL_CTX *at, const struct tls_demand *d)
{
	struct client c;
	struct tls_wish w;

	meet(&c, at, ours, d);
	ck_assert_msg(c.end.secured, "%s", c.end.why);
	w = *tls_of(&c)->wish;
	client_close(&c);
	return w;
}

/* A session that comes of another's being taken up is no younger: else nobody
 * would have to show himself ever again. */
START_TEST(sessions_age)
{
	struct tls_demand d = demand(TLS_PROOF_NAME);
	uint64_t at;

	SSL_CTX_set_max_proto_version(server, versions[_i]);
	at = wish_of(server, &d).look.at_ms;
	for (int i = 0; i < 3; i++) {
		while (clock_mono_ms() == at)
			settle();
		ck_assert_uint_eq(wish_of(server, &d).kept.at_ms, at);
	}
}

END_TEST

static bool
is_kept(struct tls_sessions *s, uint32_t n)
{
	uint8_t id[TLS_SESSION_ID] = { 0 };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	struct tls_look look = { .found = TLS_FINE };
	bool is;

	memcpy(id, &n, sizeof(n));
	is = tls_sessions_offer(s, id, ssl, &look);
	ck_assert(!is || look.found == TLS_EXPIRED);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return is;
}

/* The oldest goes. */
START_TEST(bounded_sessions)
{
	struct tls_demand d = demand(TLS_PROOF_NONE);
	struct tls_look look = { TLS_EXPIRED, clock_mono_ms() };
	struct tls_sessions *s = tls_sessions_new();
	uint8_t id[TLS_SESSION_ID] = { 0 };
	struct client c;

	SSL_CTX_set_max_proto_version(server, TLS1_2_VERSION);
	meet(&c, server, ours, &d);
	for (uint32_t i = 0; i <= TLS_SESSIONS_MAX; i++) {
		memcpy(id, &i, sizeof(i));
		tls_sessions_keep(s, id, SSL_get0_session(c.ssl), &look);
	}
	ck_assert(!is_kept(s, 0));
	ck_assert(is_kept(s, 1) && is_kept(s, TLS_SESSIONS_MAX));
	tls_sessions_drop(s, id);
	ck_assert(!is_kept(s, TLS_SESSIONS_MAX));
	/* And who is too old. */
	look.at_ms -= 3 * 3600 * 1000;
	tls_sessions_keep(s, id, SSL_get0_session(c.ssl), &look);
	ck_assert(!is_kept(s, TLS_SESSIONS_MAX));
	client_close(&c);
	tls_sessions_free(&s);
}

END_TEST

/* --- lives --- */

/* Contexts go when the last connection does. */
START_TEST(outlives_its_client)
{
	struct tls_demand d = demand(TLS_PROOF_NAME);
	struct tls_client *c0 = trusting(root->pem);
	struct client c;

	meet_open(&c, server, c0, &d);
	tls_client_unref(&c0);
	shake(&c);
	ck_assert(c.end.secured);
	stream_write(c.end.stream, "EHLO me\r\n", 9);
	settle();
	char got[9];
	ck_assert_int_eq((int)client_read(&c, got, 9), 9);
	client_close(&c);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("tls outward");
	TCase *t = tcase_create("outward");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, no_server_hello, 0, 2 * COUNT(garbage));
	tcase_add_test(t, stalls);
	tcase_add_test(t, leaves_in_between);
	tcase_add_loop_test(t, versions_and_ciphers, 0, 2 * COUNT(rules));
	tcase_add_test(t, key_updates);
	tcase_add_test(t, negotiates_again);
	tcase_add_loop_test(t, breaks_off, 0, 4);
	tcase_add_loop_test(t, sessions, 0, 4);
	tcase_add_loop_test(
	    t, sessions_do_not_cross, 0, COUNT(ways) * COUNT(ways));
	tcase_add_loop_test(t, untrusted_sessions, 0, 2);
	tcase_add_loop_test(t, forgotten_sessions, 0, 2);
	tcase_add_loop_test(t, sessions_age, 0, 2);
	tcase_add_test(t, bounded_sessions);
	tcase_add_test(t, outlives_its_client);
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
