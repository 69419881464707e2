/* Handshakes with keys that are elsewhere: kinds, names, tickets, the signer
 * who fails, sleeps or has much to do. */
#include "tests/unit/lib/tls_parties.h"

/* --- versions and kinds --- */

static struct {
	int version;
	char sigalgs[20];
	const char *text;
	struct one **one;
} kinds[] = {
	{ TLS1_2_VERSION, "RSA+SHA256", "TLSv1.2", &rsa },
	{ TLS1_2_VERSION, "RSA-PSS+SHA384", "TLSv1.2", &rsa },
	{ TLS1_2_VERSION, "ECDSA+SHA256", "TLSv1.2", &ec },
	{ TLS1_3_VERSION, "RSA-PSS+SHA256", "TLSv1.3", &rsa },
	{ TLS1_3_VERSION, "RSA-PSS+SHA512", "TLSv1.3", &rsa },
	{ TLS1_3_VERSION, "ECDSA+SHA256", "TLSv1.3", &ec },
};

START_TEST(kinds_of_keys)
{
	struct client c;
	struct tls_info i;
	char got[8];
	X509 *cert;

	client_open(&c, server);
	SSL_set_min_proto_version(c.ssl, kinds[_i].version);
	SSL_set_max_proto_version(c.ssl, kinds[_i].version);
	ck_assert_int_eq(SSL_set1_sigalgs_list(c.ssl, kinds[_i].sigalgs), 1);
	shake(&c);
	ck_assert(c.done && c.end.secured);
	ck_assert_uint_eq(signer.nsigned, 1);
	cert = SSL_get1_peer_certificate(c.ssl);
	ck_assert_int_eq(X509_cmp(cert, (*kinds[_i].one)->cert), 0);
	X509_free(cert);
	i = info_of(&c);
	ck_assert_str_eq(i.version, kinds[_i].text);
	ck_assert_str_eq(i.cipher, SSL_get_cipher(c.ssl));
	ck_assert_int_ge(i.bits, 128);
	ck_assert(!i.resumed && !i.has_cert && !i.verified);
	ck_assert_str_eq(i.server_name, "");
	stream_write(c.end.stream, "250 ok", 6);
	ck_assert_int_eq(client_read(&c, got, 6), 6);
	ck_assert_mem_eq(got, "250 ok", 6);
	ck_assert_int_eq(SSL_write(c.ssl, "NOOP", 4), 4);
	settle();
	ck_assert(str_eq(buf_str(&c.end.got), STR("NOOP")));
	client_close(&c);
}

END_TEST

static const struct {
	int version;
	const char *ciphers;
} refused[] = {
	{ TLS1_VERSION, "ALL:@SECLEVEL=0" },
	{ TLS1_1_VERSION, "ALL:@SECLEVEL=0" },
	{ TLS1_2_VERSION, "kRSA:@SECLEVEL=0" },
	{ TLS1_2_VERSION, "DHE:@SECLEVEL=0" },
	{ TLS1_2_VERSION, "ECDHE+SHA1:ECDHE+SHA256:ECDHE+SHA384:!AEAD:"
			  "@SECLEVEL=0" },
};

START_TEST(old_ways)
{
	struct client c;

	client_open(&c, server);
	ck_assert_int_eq(SSL_set_cipher_list(c.ssl, refused[_i].ciphers), 1);
	SSL_set_min_proto_version(c.ssl, refused[_i].version);
	SSL_set_max_proto_version(c.ssl, refused[_i].version);
	shake(&c);
	ck_assert(c.failed && c.end.failed);
	ck_assert_ptr_null(stream_tls(c.end.stream));
	ck_assert_str_ne(c.end.why, "");
	ck_assert_uint_eq(signer.nsigned, 0);
	client_close(&c);
}

END_TEST

/* --- names --- */

static const struct {
	const char *sni, *cn, *shown;
} names[] = {
	{ "mx.example", "mx.example", "mx.example" },
	{ "mail.other.example", "other", "mail.other.example" },
	{ "MAIL.OTHER.EXAMPLE", "other", "MAIL.OTHER.EXAMPLE" },
	{ "a.wild.example", "wild", "a.wild.example" },
	{ "deep.wild.example", "other", "deep.wild.example" },
	{ "a.b.wild.example", "mx.example", "a.b.wild.example" },
	{ "wild.example", "mx.example", "wild.example" },
	{ "nobody.example", "mx.example", "nobody.example" },
	{ "*.wild.example", "mx.example", "" },
	{ "192.0.2.1", "mx.example", "" },
	{ "2001:db8::1", "mx.example", "" },
	{ "mx\\.example", "mx.example", "" },
	{ "mx.example\n250 ok", "mx.example", "" },
	{ "\xff\xfe", "mx.example", "" },
};

START_TEST(names_choose)
{
	struct client c;
	X509 *cert;
	char cn[64], *sni = xstrdup(names[_i].sni);

	client_open(&c, server);
	ck_assert_int_eq(SSL_set_tlsext_host_name(c.ssl, sni), 1);
	shake(&c);
	ck_assert(c.done && c.end.secured);
	cert = SSL_get1_peer_certificate(c.ssl);
	X509_NAME_get_text_by_NID(
	    X509_get_subject_name(cert), NID_commonName, cn, sizeof(cn));
	X509_free(cert);
	ck_assert_str_eq(cn, names[_i].cn);
	ck_assert_str_eq(info_of(&c).server_name, names[_i].shown);
	client_close(&c);
	free(sni);
}

END_TEST

static const struct {
	const char *offer;
	size_t len;
	const char *chosen; /* NULL: refused */
} protocols[] = {
	{ "\4smtp", 5, "smtp" },
	{ "\2h2\5esmtp", 9, "esmtp" },
	{ "\2h2\10http/1.1", 12, NULL },
	{ "\3ftp", 4, NULL },
};

START_TEST(other_protocols)
{
	const unsigned char *got;
	unsigned int len;
	struct client c;

	client_open(&c, server);
	ck_assert_int_eq(SSL_set_alpn_protos(c.ssl,
			     (const unsigned char *)protocols[_i].offer,
			     (unsigned int)protocols[_i].len),
	    0);
	shake(&c);
	ck_assert_int_eq(c.done, protocols[_i].chosen != NULL);
	ck_assert_int_eq(c.end.secured, protocols[_i].chosen != NULL);
	if (c.done) {
		SSL_get0_alpn_selected(c.ssl, &got, &len);
		ck_assert(str_eq((struct str){ (const char *)got, len },
		    str_of(protocols[_i].chosen)));
	}
	client_close(&c);
}

END_TEST

/* --- tickets --- */

/* A ticket of a connection to s. */
static SSL_SESSION *
ticket_of(struct tls_server *s, int version)
{
	SSL_SESSION *t;
	struct client c;
	char byte;

	client_open(&c, s);
	SSL_set_max_proto_version(c.ssl, version);
	shake(&c);
	ck_assert(c.done && c.end.secured);
	client_read(&c, &byte, 1);
	t = c.session;
	c.session = NULL;
	client_close(&c);
	return t;
}

/* Whether s takes it; the ticket is freed. */
static bool
resumes(struct tls_server *s, SSL_SESSION *t)
{
	struct client c;
	bool r;

	ck_assert_ptr_nonnull(t);
	client_open(&c, s);
	SSL_set_max_proto_version(c.ssl, SSL_SESSION_get_protocol_version(t));
	ck_assert_int_eq(SSL_set_session(c.ssl, t), 1);
	SSL_SESSION_free(t);
	shake(&c);
	ck_assert(c.done && c.end.secured);
	r = SSL_session_reused(c.ssl) == 1;
	ck_assert_int_eq(info_of(&c).resumed, r);
	client_close(&c);
	return r;
}

START_TEST(tickets)
{
	struct tls_server *twin = make_server(1, false, NULL),
			  *stranger = make_server(2, false, NULL),
			  *asking = make_server(1, true, ca->pem);
	int v = versions[_i];

	ck_assert(resumes(server, ticket_of(server, v)));
	ck_assert(resumes(twin, ticket_of(server, v)));
	ck_assert_uint_eq(signer.nsigned, 2);
	ck_assert(!resumes(stranger, ticket_of(server, v)));
	ck_assert(!resumes(asking, ticket_of(server, v)));
	tls_server_unref(&twin);
	tls_server_unref(&stranger);
	tls_server_unref(&asking);
}

END_TEST

START_TEST(ticket_keys_turn)
{
	char keys[3][80];
	SSL_SESSION *old, *older;
	int v = versions[_i];

	for (size_t i = 0; i < 3; i++)
		memset(keys[i], 'a' + (int)i, sizeof(keys[i]));
	tls_set_tickets((struct str){ keys[0], 80 });
	old = ticket_of(server, v);
	older = ticket_of(server, v);
	/* The second of two is still good. */
	memcpy(keys[2], keys[0], 80);
	tls_set_tickets((struct str){ keys[1], 160 });
	ck_assert(resumes(server, old));
	tls_set_tickets((struct str){ keys[1], 80 });
	ck_assert(!resumes(server, older));
	/* None at all. */
	tls_set_tickets(STR(""));
	ck_assert_ptr_null(ticket_of(server, v));
	tls_set_tickets((struct str){ keys[0], 80 });
}

END_TEST

/* --- the signer --- */

START_TEST(signer_fails)
{
	struct client c;

	signer.how = _i == 0 ? SIGNER_FAILS : SIGNER_REFUSES;
	client_open(&c, server);
	shake(&c);
	ck_assert(c.failed && c.end.failed);
	ck_assert_str_eq(c.end.why, _i == 0 ?
					"the key's owner gives no signature" :
					"the key's owner cannot be asked");
	client_close(&c);
}

END_TEST

START_TEST(signer_never_answers)
{
	struct client c;

	signer.how = SIGNER_SLEEPS;
	client_open(&c, server);
	SSL_set_max_proto_version(c.ssl, versions[_i]);
	for (int i = 0; i < 5; i++) {
		client_step(&c);
		settle();
	}
	ck_assert_uint_eq(signer.nasked, 1);
	ck_assert(!c.end.secured && !c.end.failed);
	/* The deadline is the owner's, and runs. */
	stream_deadline(c.end.stream, 1);
	timer_set(guard, GUARD_MS);
	while (!c.end.timed_out)
		settle();
	timer_stop(guard);
	client_close(&c);
	ck_assert_uint_eq(signer.ncancelled, 1);
	signer.nasked = 0;
}

END_TEST

/* The answer comes in the round in which the connection goes. */
START_TEST(answer_and_close)
{
	struct client c;

	signer.how = SIGNER_SLEEPS;
	client_open(&c, server);
	for (int i = 0; i < 5; i++) {
		client_step(&c);
		settle();
	}
	ck_assert_uint_eq(signer.nasked, 1);
	sign_one(&signer.asked[0]);
	signer.nasked = 0;
	client_close(&c);
	settle();
	ck_assert_uint_eq(signer.ncancelled, 0);
}

END_TEST

/* The owner has its last word said as soon as it hears, good or bad. */
START_TEST(leaves_at_once)
{
	struct client c;
	char got[4];

	if (_i >= COUNT(versions))
		signer.how = SIGNER_FAILS;
	client_open(&c, server);
	SSL_set_max_proto_version(c.ssl, versions[_i % COUNT(versions)]);
	c.end.leaves = true;
	stream_write(c.end.stream, "bye", 3);
	timer_set(guard, GUARD_MS);
	while (!c.end.secured && !c.end.failed) {
		client_step(&c);
		settle();
	}
	timer_stop(guard);
	ck_assert_int_eq(c.end.secured, _i < COUNT(versions));
	ck_assert_ptr_null(c.end.stream);
	settle();
	client_step(&c);
	if (c.end.secured) {
		ck_assert_int_eq(client_read(&c, got, 3), 3);
		ck_assert_mem_eq(got, "bye", 3);
		ck_assert_int_eq(SSL_read(c.ssl, got, 1), 0);
		ck_assert_int_ne(
		    SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN, 0);
	}
	client_close(&c);
}

END_TEST

/* All wait for the signer at once; none waits for another. */
START_TEST(many_at_once)
{
	enum { MANY = 200 };
	static struct client many[MANY];
	size_t secured = 0;

	signer.how = SIGNER_SLEEPS;
	for (size_t i = 0; i < MANY; i++)
		client_open(&many[i], server);
	for (int round = 0; round < 5; round++) {
		for (size_t i = 0; i < MANY; i++)
			client_step(&many[i]);
		settle();
	}
	ck_assert_uint_eq(signer.nasked, MANY);
	/* In the other order, and every fourth gives up first. */
	for (size_t i = 0; i < MANY; i += 4)
		client_close(&many[i]);
	for (size_t i = MANY; i-- > 0;)
		if (signer.asked[i].job != NULL)
			sign_one(&signer.asked[i]);
	signer.nasked = 0;
	for (size_t i = 0; i < MANY; i++) {
		if (i % 4 == 0)
			continue;
		shake(&many[i]);
		secured += many[i].done && many[i].end.secured ? 1 : 0;
		client_close(&many[i]);
	}
	ck_assert_uint_eq(signer.ncancelled, MANY / 4);
	ck_assert_uint_eq(secured, MANY - MANY / 4);
}

END_TEST

/* A connection keeps its server. */
START_TEST(server_replaced)
{
	struct client c;

	client_open(&c, server);
	tls_server_unref(&server);
	server = make_server(1, false, NULL);
	shake(&c);
	ck_assert(c.done && c.end.secured);
	client_close(&c);
}

END_TEST

/* --- bad certificates --- */

START_TEST(no_server)
{
	const char *twice[] = { rsa->pem, rsa->pem }, *none[] = { "nothing" },
		   *cut[] = { "-----BEGIN CERTIFICATE-----\nMIIB\n" };
	const struct tls_identity ids[] = { { twice, 2 }, { none, 1 },
		{ cut, 1 }, { none, 0 } };
	struct tls_server_conf conf = { &ids[_i], 1, 0, false, NULL };
	struct fault why = { .class = FAULT_NONE };

	ck_assert_ptr_null(tls_server_new(&conf, &why));
	ck_assert_str_ne(why.text, "");
}

END_TEST

START_TEST(bad_client_ca)
{
	const char *chains[] = { ec->pem };
	const struct tls_identity id = { chains, 1 };
	struct tls_server_conf conf = { &id, 1, 0, true, "nothing" };
	struct fault why = { .class = FAULT_NONE };

	ck_assert_ptr_null(tls_server_new(&conf, &why));
	ck_assert_str_ne(why.text, "");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("tls");
	TCase *c = tcase_create("all");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, kinds_of_keys, 0, COUNT(kinds));
	tcase_add_loop_test(c, old_ways, 0, COUNT(refused));
	tcase_add_loop_test(c, names_choose, 0, COUNT(names));
	tcase_add_loop_test(c, other_protocols, 0, COUNT(protocols));
	tcase_add_loop_test(c, tickets, 0, 2);
	tcase_add_loop_test(c, ticket_keys_turn, 0, 2);
	tcase_add_loop_test(c, signer_fails, 0, 2);
	tcase_add_loop_test(c, signer_never_answers, 0, 2);
	tcase_add_test(c, answer_and_close);
	tcase_add_loop_test(c, leaves_at_once, 0, 2 * COUNT(versions));
	tcase_add_test(c, many_at_once);
	tcase_add_test(c, server_replaced);
	tcase_add_loop_test(c, no_server, 0, 4);
	tcase_add_test(c, bad_client_ca);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	/* One process: keys are made once. */
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	world_close();
	return failed == 0 ? 0 : 1;
}
