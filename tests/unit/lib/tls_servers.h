/*
 * The other side round: OpenSSL's own servers, with certificates of every
 * kind, and our connections to them.
 */
#ifndef POSTERN_TESTS_TLS_SERVERS_H
#define POSTERN_TESTS_TLS_SERVERS_H

#include "lib/net/tls_client.h"
#include "tests/unit/lib/tls_world.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

enum { DAY = 86400, PARTIES_MAX = 32 };

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* --- certificates --- */

struct party;

struct party_like {
	const char *cn, *san, *usage; /* NULL: without */
	struct party *by;             /* NULL: itself */
	int bits;                     /* of RSA; 0: ECDSA */
	long from_s, to_s;            /* from now; 0: -1 hour, one day */
	bool is_ca;
	const char *limits; /* of the names below it; NULL: none */
	bool nul;           /* its name is mx.example, and behind a NUL .evil */
};

struct party {
	EVP_PKEY *key;
	X509 *cert;
	char *pem;
};

static struct party parties[PARTIES_MAX];
static size_t nparties;

/* A subjectAltName that no text can say. */
static inline void
add_nul_name(X509 *cert)
{
	static const char name[] = "mx.example\0.evil.example";
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	ASN1_STRING_set(text, name, sizeof(name) - 1);
	GENERAL_NAME_set0_value(g, GEN_DNS, text);
	sk_GENERAL_NAME_push(names, g);
	ck_assert_int_eq(
	    X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0), 1);
	GENERAL_NAMES_free(names);
}

static inline struct party *
party_new(const struct party_like *l)
{
	struct party *p = &parties[nparties++];
	X509_NAME *name;

	ck_assert_uint_le(nparties, PARTIES_MAX);
	p->key = l->bits > 0 ? EVP_RSA_gen((unsigned int)l->bits) :
			       EVP_EC_gen("P-256");
	p->cert = X509_new();
	X509_set_version(p->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(p->cert), (long)nparties);
	name = X509_get_subject_name(p->cert);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_UTF8, (const unsigned char *)l->cn, -1, -1, 0);
	X509_set_issuer_name(
	    p->cert, l->by != NULL ? X509_get_subject_name(l->by->cert) : name);
	X509_gmtime_adj(
	    X509_getm_notBefore(p->cert), l->from_s != 0 ? l->from_s : -3600);
	X509_gmtime_adj(
	    X509_getm_notAfter(p->cert), l->to_s != 0 ? l->to_s : DAY);
	X509_set_pubkey(p->cert, p->key);
	if (l->is_ca)
		add_ext(p->cert, NID_basic_constraints, "critical,CA:TRUE");
	if (l->san != NULL)
		add_ext(p->cert, NID_subject_alt_name, l->san);
	if (l->usage != NULL)
		add_ext(p->cert, NID_ext_key_usage, l->usage);
	if (l->limits != NULL)
		add_ext(p->cert, NID_name_constraints, l->limits);
	if (l->nul)
		add_nul_name(p->cert);
	ck_assert_int_gt(X509_sign(p->cert, l->by != NULL ? l->by->key : p->key,
			     EVP_sha256()),
	    0);
	p->pem = to_pem(p->cert);
	return p;
}

static inline void
parties_close(void)
{
	while (nparties > 0) {
		struct party *p = &parties[--nparties];

		EVP_PKEY_free(p->key);
		X509_free(p->cert);
		free(p->pem);
	}
}

/* --- servers --- */

/* Shows p, and behind it these. */
static inline SSL_CTX *
serve(struct party *p, struct party *const *chain, size_t n)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	static const unsigned char id[] = "tests";

	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_session_id_context(ctx, id, sizeof(id));
	SSL_CTX_set_num_tickets(ctx, 1);
	ck_assert_int_eq(SSL_CTX_use_certificate(ctx, p->cert), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, p->key), 1);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(
		    (int)SSL_CTX_add1_chain_cert(ctx, chain[i]->cert), 1);
	return ctx;
}

/* --- meetings --- */

static struct tls_client *
trusting(const char *pem)
{
	struct fault why = { .class = FAULT_NONE };
	struct tls_client *c = tls_client_new(str_of(pem), NULL, &why);

	ck_assert_msg(c != NULL, "%s", why.text);
	return c;
}

/* Our end is c->end; c->ssl is the server. */
static inline void
meet_open(struct client *c, SSL_CTX *server, struct tls_client *client,
    const struct tls_demand *d)
{
	struct fault why = { .class = FAULT_NONE };
	struct tls *t = tls_connect(client, d, &why);
	int fds[2];

	ck_assert_msg(t != NULL, "%s", why.text);
	memset(c, 0, sizeof(*c));
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	c->fd = fds[1];
	c->ssl = SSL_new(server);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_accept_state(c->ssl);
	buf_init(&c->end.got, 64 << 20);
	c->end.stream = stream_new(loop, fds[0], false, &end_ops, &c->end);
	stream_start_tls(c->end.stream, t);
}

static inline void
meet(struct client *c, SSL_CTX *server, struct tls_client *client,
    const struct tls_demand *d)
{
	meet_open(c, server, client, d);
	shake(c);
	settle(); /* what comes behind: tickets */
}

static inline const struct tls *
tls_of(const struct client *c)
{
	const struct tls *t = stream_tls(c->end.stream);

	return t != NULL ? t : stream_failed_tls(c->end.stream);
}

static inline struct tls_info
info_of(const struct client *c)
{
	struct tls_info i;

	ck_assert_ptr_nonnull(stream_tls(c->end.stream));
	tls_info(stream_tls(c->end.stream), &i);
	return i;
}

static struct loop *own_loop;

static inline void
servers_enter(void)
{
	world_open();
	own_loop = loop_new();
	world_enter(own_loop);
	signer.how = SIGNER_ANSWERS;
	signer.nsigned = signer.ncancelled = signer.nasked = 0;
}

static inline void
servers_leave(void)
{
	settle();
	ck_assert_uint_eq(signer.nasked, 0);
	world_leave();
	loop_free(&own_loop);
}

#endif
