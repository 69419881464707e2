/*
 * TLS of a listener: TLS 1.2 and 1.3, forward secrecy and authenticated
 * ciphers only, no compression, no renegotiation, no early data; one context
 * for each identity, all with the same rules.
 */
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/net/tls_own.h"

static const char ciphers[] =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
static char groups[] = "X25519:P-256:P-384";

enum { SESSION_LIFETIME_S = 7200, SECURITY_LEVEL = 2 };

/* --- which identity --- */

static bool
is_for(const struct tls_house *h, const char *name, unsigned int flags)
{
	for (size_t i = 0; i < h->ncerts; i++)
		if (X509_check_host(h->certs[i], name, 0, flags, NULL) == 1)
			return true;
	return false;
}

/* A certificate with the very name goes before one with a wildcard. */
static int
on_name(SSL *ssl, int *alert, void *arg)
{
	static const unsigned int ways[] = { X509_CHECK_FLAG_NO_WILDCARDS,
		X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS };
	const struct tls_server *s = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	if (name == NULL || !tls_is_host_name(name))
		return SSL_TLSEXT_ERR_NOACK;
	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++)
		for (size_t i = 0; i < s->nhouses; i++)
			if (is_for(&s->houses[i], name, ways[w])) {
				SSL_set_SSL_CTX(ssl, s->houses[i].ctx);
				return SSL_TLSEXT_ERR_OK;
			}
	return SSL_TLSEXT_ERR_NOACK;
}

/* There is no registered name for SMTP; some clients say "smtp" or "esmtp".
 * One that names other protocols only is a browser or the like which somebody
 * has led here, to have our replies taken for a web page's (ALPACA,
 * CVE-2021-3618). No mail client is known to name none of ours. */
static int
on_protocols(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned int inlen, void *arg)
{
	(void)ssl;
	(void)arg;
	for (unsigned int i = 0; i < inlen && inlen - i > in[i];
	     i += in[i] + 1U) {
		struct str p = { (const char *)in + i + 1, in[i] };

		if (str_eq(p, STR("smtp")) || str_eq(p, STR("esmtp"))) {
			*out = in + i + 1;
			*outlen = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* --- a context --- */

/* KeyUpdate, the wish to negotiate again. */
void
tls_on_event(const SSL *ssl, int where, int ret)
{
	struct tls *t = SSL_get_app_data(ssl);

	(void)where;
	(void)ret;
	if (t != NULL && t->secured && t->nafter < UINT16_MAX)
		t->nafter++;
}

/* Tickets are good for the same listener, and the same idea of whom we
 * trust. */
static int
set_session_context(SSL_CTX *ctx, const struct tls_server_conf *conf)
{
	uint8_t id[SHA256_DIGEST_LENGTH];
	struct buf b;
	int r;

	buf_init(&b, SIZE_MAX / 2);
	buf_add(&b, &conf->session_context, sizeof(conf->session_context));
	buf_add_char(&b, conf->ask_client_cert ? '1' : '0');
	if (conf->client_ca != NULL)
		buf_add_str(&b, str_of(conf->client_ca));
	SHA256((const uint8_t *)b.p, b.len, id);
	buf_clear(&b);
	r = SSL_CTX_set_session_id_context(ctx, id, sizeof(id));
	return r == 1 ? 0 : -1;
}

static int
set_rules(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION |
				     SSL_OP_NO_RENEGOTIATION |
				     SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* Without AUTO_RETRY a read ends with the record that it was about. */
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_mode(ctx, SSL_MODE_ASYNC | SSL_MODE_RELEASE_BUFFERS |
				  SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, SESSION_LIFETIME_S);
	SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
	SSL_CTX_set_alpn_select_cb(ctx, on_protocols, NULL);
	SSL_CTX_set_info_callback(ctx, tls_on_event);
	tls_tickets_use(ctx);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, ciphers) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, groups) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 1) != 1)
		return -1;
	return 0;
}

static bool
has_kind(const struct tls_house *h, const X509 *cert)
{
	int kind = EVP_PKEY_get_base_id(X509_get0_pubkey(cert));

	for (size_t i = 0; i < h->ncerts; i++)
		if (EVP_PKEY_get_base_id(X509_get0_pubkey(h->certs[i])) == kind)
			return true;
	return false;
}

static int
add_issuers(struct tls_house *h, BIO *pem)
{
	X509 *issuer;

	while ((issuer = tls_next_cert(pem)) != NULL) {
		long r = SSL_CTX_add1_chain_cert(h->ctx, issuer);

		X509_free(issuer);
		if (r != 1)
			return -1;
	}
	return ERR_peek_error() == 0 ? 0 : -1;
}

static int
add_cert(struct tls_house *h, X509 *cert, BIO *pem, struct fault *why)
{
	EVP_PKEY *key = tls_key_of(cert, why);
	int r;

	if (key == NULL)
		return -1;
	if (h->ncerts == TLS_CERTS_MAX || has_kind(h, cert)) {
		EVP_PKEY_free(key);
		return fault_set(why, FAULT_PERM,
		    "two certificates with the same kind of key");
	}
	ERR_clear_error();
	r = SSL_CTX_use_certificate(h->ctx, cert) == 1 &&
		    add_issuers(h, pem) == 0 &&
		    SSL_CTX_use_PrivateKey(h->ctx, key) == 1 ?
		0 :
		fault_set(why, FAULT_PERM, "%s", tls_reason());
	EVP_PKEY_free(key);
	if (r == 0) {
		X509_up_ref(cert);
		h->certs[h->ncerts++] = cert;
	}
	return r;
}

static int
add_chain(struct tls_house *h, const char *chain, struct fault *why)
{
	BIO *pem = BIO_new_mem_buf(chain, -1);
	X509 *cert = pem == NULL ? NULL : tls_next_cert(pem);
	int r = cert == NULL ? fault_set(why, FAULT_PERM,
				   "there is no certificate in it") :
			       add_cert(h, cert, pem, why);

	X509_free(cert);
	BIO_free(pem);
	return r;
}

static int
house_init(struct tls_server *s, struct tls_house *h,
    const struct tls_identity *id, const struct tls_server_conf *conf,
    struct fault *why)
{
	h->ctx = SSL_CTX_new(TLS_server_method());
	if (h->ctx == NULL || set_rules(h->ctx) < 0 ||
	    set_session_context(h->ctx, conf) < 0)
		return fault_set(why, FAULT_OURS, "TLS: %s", tls_reason());
	SSL_CTX_set_tlsext_servername_callback(h->ctx, on_name);
	SSL_CTX_set_tlsext_servername_arg(h->ctx, s);
	if (conf->ask_client_cert &&
	    tls_client_ask(h->ctx, conf->client_ca, why) < 0)
		return -1;
	for (size_t i = 0; i < id->nchains; i++)
		if (add_chain(h, id->chains[i], why) < 0)
			return -1;
	return id->nchains > 0 ? 0 :
				 fault_set(why, FAULT_PERM, "no certificate");
}

/* --- its life --- */

static void
server_free(struct tls_server *s)
{
	for (size_t i = 0; i < s->nhouses; i++) {
		struct tls_house *h = &s->houses[i];

		SSL_CTX_free(h->ctx);
		for (size_t j = 0; j < h->ncerts; j++)
			X509_free(h->certs[j]);
	}
	free(s);
}

struct tls_server *
tls_server_new(const struct tls_server_conf *conf, struct fault *why)
{
	size_t n = conf->nidentities;
	struct tls_server *s;

	if (n == 0) {
		fault_set(why, FAULT_PERM, "no certificate");
		return NULL;
	}
	s = xcalloc(1, sizeof(*s) + n * sizeof(s->houses[0]));
	s->refs = 1;
	s->nhouses = n;
	for (size_t i = 0; i < n; i++) {
		ERR_clear_error();
		if (house_init(s, &s->houses[i], &conf->identities[i], conf,
			why) < 0) {
			server_free(s);
			s = NULL;
			break;
		}
	}
	ERR_clear_error();
	return s;
}

struct tls_server *
tls_server_ref(struct tls_server *s)
{
	s->refs++;
	return s;
}

void
tls_server_unref(struct tls_server **sp)
{
	struct tls_server *s = *sp;

	*sp = NULL;
	if (s != NULL && --s->refs == 0)
		server_free(s);
}
