/*
 * TLS towards servers: TLS 1.2 and 1.3. With a proof the rules are those of
 * our own listeners: forward secrecy, authenticated ciphers. Without one
 * anything is better than no TLS at all: whatever a server of the last twenty
 * years has, but for what can be read by whoever wants.
 */
#include "lib/net/tls_client.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/bytes.h"
#include "lib/net/tls_own.h"

enum { DIGEST = 32 };

struct tls_client {
	unsigned int refs;
	SSL_CTX *proven, *any;  /* with a proof; without */
	uint8_t trusts[DIGEST]; /* of the authorities */
	struct tls_sessions *sessions;
};

static const struct rules {
	const char *ciphers;
	int level;
	uint64_t options;
} proven_rules = {
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
	"DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256",
	2,
	0,
}, any_rules = {
	"HIGH:!aNULL:!eNULL:!PSK:!SRP",
	0,
	SSL_OP_LEGACY_SERVER_CONNECT,
};

/* --- sessions --- */

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tls *t = SSL_get_app_data(ssl);
	const struct tls_wish *w = t->wish;

	if (w->keeps && !t->doomed && SSL_SESSION_is_resumable(session) == 1)
		tls_sessions_keep(w->client->sessions, w->id, session,
		    SSL_session_reused(ssl) == 1 ? &w->kept : &w->look);
	return 0;
}

static void
add_number(EVP_MD_CTX *md, uint64_t n)
{
	uint8_t bytes[8];

	put_le64(bytes, n);
	EVP_DigestUpdate(md, bytes, sizeof(bytes));
}

static void
add_bytes(EVP_MD_CTX *md, const void *p, size_t len)
{
	add_number(md, len);
	EVP_DigestUpdate(md, p, len);
}

static void
add_text(EVP_MD_CTX *md, const char *s)
{
	add_number(md, s != NULL);
	if (s != NULL)
		add_bytes(md, s, strlen(s));
}

static void
add_tlsa(EVP_MD_CTX *md, const struct tls_tlsa *r)
{
	add_number(md, r->usage);
	add_number(md, r->selector);
	add_number(md, r->matching);
	add_bytes(md, r->data, r->len);
}

static void
add_demand(EVP_MD_CTX *md, const struct tls_demand *d)
{
	add_text(md, d->session_key);
	add_text(md, d->server_name);
	add_number(md, d->proof);
	add_number(md, d->nnames);
	for (size_t i = 0; i < d->nnames; i++)
		add_text(md, d->names[i]);
	add_number(md, d->address != NULL);
	if (d->address != NULL) {
		add_number(md, d->address->family);
		add_bytes(md, d->address->bytes, sizeof(d->address->bytes));
	}
	add_number(md, d->ntlsas);
	for (size_t i = 0; i < d->ntlsas; i++)
		add_tlsa(md, &d->tlsas[i]);
	add_text(md, d->chain);
}

/* Of all that is demanded. 0/-1 */
static int
hash_demand(const struct tls_demand *d, uint8_t id[static TLS_SESSION_ID])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

	if (ok)
		add_demand(md, d);
	ok = ok && EVP_DigestFinal_ex(md, id, NULL) == 1;
	EVP_MD_CTX_free(md);
	return ok ? 0 : -1;
}

/* --- contexts --- */

static SSL_CTX *
make_context(const struct rules *r, X509_STORE *store)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(
	    ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | r->options);
	/* Without AUTO_RETRY a read ends with the record that it was about. */
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
				  SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(
	    ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	SSL_CTX_set_security_level(ctx, r->level);
	SSL_CTX_set_info_callback(ctx, tls_on_event);
	SSL_CTX_set1_cert_store(ctx, store);
	tls_verify_use(ctx);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_cipher_list(ctx, r->ciphers) == 1 &&
	    SSL_CTX_dane_enable(ctx) == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* Of what cannot be read each has taken its lines with it. */
static size_t
read_authorities(BIO *pem, X509_STORE *store)
{
	size_t nbad = 0;

	for (;;) {
		X509 *cert;

		ERR_clear_error();
		cert = tls_next_cert(pem);
		if (cert == NULL && ERR_peek_error() == 0)
			return nbad;
		if (cert == NULL || X509_STORE_add_cert(store, cert) != 1)
			nbad++;
		X509_free(cert);
	}
}

static X509_STORE *
make_store(struct str authorities, size_t *nbad)
{
	X509_STORE *store = X509_STORE_new();
	BIO *pem = authorities.len > INT_MAX ?
		       NULL :
		       BIO_new_mem_buf(authorities.p, (int)authorities.len);
	size_t n = 0;

	/* One that is named is trusted, whoever has signed it. */
	if (store != NULL && pem != NULL &&
	    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1) {
		n = read_authorities(pem, store);
	} else {
		X509_STORE_free(store);
		store = NULL;
	}
	BIO_free(pem);
	if (nbad != NULL)
		*nbad = n;
	return store;
}

/* 0/-1 */
static int
digest_of(struct str authorities, uint8_t out[static DIGEST])
{
	return EVP_Digest(authorities.p, authorities.len, out, NULL,
		   EVP_sha256(), NULL) == 1 ?
		   0 :
		   -1;
}

bool
tls_client_trusts(const struct tls_client *c, struct str authorities)
{
	uint8_t digest[DIGEST];

	return digest_of(authorities, digest) == 0 &&
	       memcmp(digest, c->trusts, DIGEST) == 0;
}

struct tls_client *
tls_client_new(struct str authorities, size_t *nbad, struct fault *why)
{
	struct tls_client *c = xcalloc(1, sizeof(*c));
	X509_STORE *store;

	c->refs = 1;
	c->sessions = tls_sessions_new();
	ERR_clear_error();
	store = make_store(authorities, nbad);
	if (store != NULL && digest_of(authorities, c->trusts) == 0) {
		c->proven = make_context(&proven_rules, store);
		c->any = make_context(&any_rules, store);
	}
	if (c->proven == NULL || c->any == NULL) {
		fault_set(why, FAULT_OURS, "TLS: %s", tls_reason());
		tls_client_unref(&c);
	}
	X509_STORE_free(store);
	ERR_clear_error();
	return c;
}

struct tls_client *
tls_client_ref(struct tls_client *c)
{
	c->refs++;
	return c;
}

void
tls_client_unref(struct tls_client **cp)
{
	struct tls_client *c = *cp;

	*cp = NULL;
	if (c == NULL || --c->refs > 0)
		return;
	SSL_CTX_free(c->proven);
	SSL_CTX_free(c->any);
	tls_sessions_free(&c->sessions);
	free(c);
}

/* --- our certificate --- */

static int
add_issuers(SSL *ssl, BIO *pem)
{
	X509 *issuer;

	while ((issuer = tls_next_cert(pem)) != NULL) {
		long r = SSL_add1_chain_cert(ssl, issuer);

		X509_free(issuer);
		if (r != 1)
			return -1;
	}
	return ERR_peek_error() == 0 ? 0 : -1;
}

static int
show_cert(SSL *ssl, X509 *cert, BIO *pem, struct fault *why)
{
	EVP_PKEY *key = tls_key_of(cert, why);
	bool ok;

	if (key == NULL)
		return -1;
	ok = SSL_use_certificate(ssl, cert) == 1 &&
	     SSL_use_PrivateKey(ssl, key) == 1 && add_issuers(ssl, pem) == 0;
	EVP_PKEY_free(key);
	if (!ok)
		return fault_set(why, FAULT_PERM, "%s", tls_reason());
	/* Its signature is waited for. */
	SSL_set_mode(ssl, SSL_MODE_ASYNC);
	return 0;
}

static int
show_chain(SSL *ssl, const char *chain, struct fault *why)
{
	BIO *pem = BIO_new_mem_buf(chain, -1);
	X509 *cert = pem == NULL ? NULL : tls_next_cert(pem);
	int r = cert == NULL ? fault_set(why, FAULT_PERM,
				   "there is no certificate in it") :
			       show_cert(ssl, cert, pem, why);

	X509_free(cert);
	BIO_free(pem);
	return r;
}

/* --- a connection --- */

static struct tls_wish *
wish_new(struct tls_client *c, const struct tls_demand *d)
{
	struct tls_wish *w = xcalloc(1, sizeof(*w));

	w->client = tls_client_ref(c);
	w->proof = d->proof;
	w->keeps = d->session_key != NULL && hash_demand(d, w->id) == 0;
	return w;
}

void
tls_wish_free(struct tls_wish **wp)
{
	struct tls_wish *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	tls_client_unref(&w->client);
	free(w);
}

void
tls_wish_ended(struct tls *t)
{
	struct tls_wish *w = t->wish;

	if (t->secured && SSL_session_reused(t->ssl) == 1)
		w->look = w->kept;
	else if (!t->secured && w->offered)
		tls_sessions_drop(w->client->sessions, w->id);
}

static int
prepare(struct tls *t, const struct tls_demand *d, struct fault *why)
{
	struct tls_wish *w = t->wish;

	if (t->ssl == NULL)
		return fault_set(why, FAULT_OURS, "out of memory");
	SSL_set_app_data(t->ssl, t);
	SSL_set_connect_state(t->ssl);
	if (tls_verify_set(t->ssl, d, why) < 0 ||
	    (d->chain != NULL && show_chain(t->ssl, d->chain, why) < 0))
		return -1;
	w->offered = w->keeps && tls_sessions_offer(w->client->sessions, w->id,
				     t->ssl, &w->kept);
	return 0;
}

struct tls *
tls_connect(struct tls_client *c, const struct tls_demand *d, struct fault *why)
{
	struct tls *t = xcalloc(1, sizeof(*t));

	ERR_clear_error();
	t->wish = wish_new(c, d);
	t->ssl = SSL_new(d->proof == TLS_PROOF_NONE ? c->any : c->proven);
	if (prepare(t, d, why) < 0)
		tls_free(&t);
	ERR_clear_error();
	return t;
}

bool
tls_is_of(const struct tls *t, const struct tls_client *c)
{
	return t->wish->client == c;
}

enum tls_failure
tls_failure(const struct tls *t)
{
	const struct tls_wish *w = t->wish;

	if (t->secured)
		return w->look.found;
	return w->proof != TLS_PROOF_NONE && w->look.found != TLS_FINE ?
		   w->look.found :
		   TLS_NO_HANDSHAKE;
}
