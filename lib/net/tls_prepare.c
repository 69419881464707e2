/*
 * Before the jail: OpenSSL reads its configuration, and a handshake of each
 * version with each kind of key makes what it makes at its first use. It goes
 * the way that all others go, with a key that serves for nothing else; a
 * library that cannot do this is found out here.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "lib/base/log.h"
#include "lib/net/tls_own.h"

enum { ROUNDS_MAX = 100, BIO_SIZE = 65536, DAY_S = 86400 };

/* No secret, and the key of nothing: to make one takes longer than all else
 * that a process does at its start. */
static const char rsa_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCTNn6RMp0g6vqD\n"
    "yb8ahNrBSaWe90RavNGUTCaa8qwVjUQn8qqvkokjRgrc7VX05o2xVbTIvDc1m3e9\n"
    "R3urEa3rEmN0H1aPH7OhvTawHUcY8X63yBDx9EyDgtkiMzZ4IcimlmZBlTtKwQA5\n"
    "j9Lh8LiyGfPjrGfwtRjceF3FPNxeFh0MlCFhahg3a1PWUnBHUP+u7pUPBDAHFEZI\n"
    "AZRltKekxnr4chqlzAsuRkeOnhJYnUsuMEk758uvJrXY8ZhJN1NAtAeVgmuEnrDn\n"
    "mUGxMKefmoj7FSHz7pX1822wMYvmUQ/1XLu57RdxeQkMdJl5I8TR1LWOVqUTaz22\n"
    "32OunQ67AgMBAAECggEAH05aciRSV/rAlaAkvM39+1bfGsQ4zBcVdrUPDKqIv/iP\n"
    "wvMPK1E9SrwNeVgbjH4vKcQxMvMbxpGuUBlQiluzIaeCcOJtNPin6cBkTeWcBgjt\n"
    "SsYIHHw4fUspQ+WiMr/0fMDFNDM5LbeHhbY5QYVAsddlD0jNvdm1VMVgI57Culsk\n"
    "8BPWQ1yf1QR0CdGKp7kiIohzchiudJt3xmZEmspYpbcEvdEb88XUo6BEM0Ri/4kf\n"
    "TfcnGS8RFBdQGOmZz+5KnK1B17rk3RqVjh8jYmI9U4991JIAWa6kTD65UnZ0G0uI\n"
    "0Jo6pCc7cxIbSJLEH/OauMDffbdGoGfolinhVjqPiQKBgQDHIC8d2fFU4du+pBEb\n"
    "LgugK1gBfor2XJxlb/dKHlCAhfNE/iCRTEIgvxCtTsgwsz3wNxzU1szKgI7zgZx2\n"
    "UNgXMLd242vnEchVJkucxsGfGYOG0radPGEbYe1dDsL3co55AgdUcfD0ZaCUB+wo\n"
    "6Yue1jMCG2C2LjEmPopcYqyArQKBgQC9QoJ4a/6lgrSAkEplzx8rZAVDvmRiqKa1\n"
    "62GdAkpRn6q8qGFDm3LM//jl9Dhw9Rt8tMtk9ZaLo9AEnC7I2v/Do9YE0hveuqr1\n"
    "0OdXaPZEPjfAhr++YZII1+T5HZs0XzGyqnco9/l/yFmUizDKlujwP7ZXsC/OPgc2\n"
    "ICMTYYryBwKBgQCAyAbQ5pAW1o+4xwEtM+Ve7ElZhg63cIPRcs1bCSoFRRxlJXnI\n"
    "nqox5YASpd4A6RuIzQv/dwAxg11wjQW022o17VLqOAEkCzMmJsNGHKFClUykGIj0\n"
    "PgWLoRTTV2WuhU8xYad97MbqOQPWWR1aBFlBG8UXer9cc5lj45S2VTa9bQKBgGCF\n"
    "HeLqOLkSGpoCfF7FrcDERscQv0NtfXADtgmL1HkiM8H5IXmIOpj/5mDoFyzMZBNK\n"
    "ZPx9HyTiC0F+oYF/5rZQxOI6gUoq6utoecMjXYzaKja+weUG/6IQ8M53YeLotYDH\n"
    "3POA27ZmaAEQp3Z6VhvIcmbwDMFi8uyQoTLOKT1bAoGAcY6TVZx2Nz3uzxtz8Xqq\n"
    "wSvBC04qbBYtILPHMyzZkYSmjSupWCGnngC5CqGvH4LZiHxP1wk79U3LfbBpGYLF\n"
    "qG8w3O7oYZ+SWYaxOkHgHirjlgwLAafZzDKjYjsAfHRMKBTi2QuKQMak5ZQLucqd\n"
    "aLvNf0PjLxXPIHD9x3gte3s=\n"
    "-----END PRIVATE KEY-----\n";

/* The one handshake. */
static struct {
	EVP_PKEY *key;
	struct tls_job *job; /* asked for */
	enum tls_scheme scheme;
	uint8_t input[TLS_SIGN_MAX], output[TLS_SIGN_MAX];
	size_t len;
} rehearsal;

static int
rehearsal_sign(struct tls_job *job, const uint8_t key[static TLS_KEY_ID],
    enum tls_scheme scheme, struct str input, uint64_t *cancel_id)
{
	(void)key;
	(void)cancel_id;
	if (input.len > sizeof(rehearsal.input))
		return -1;
	rehearsal.job = job;
	rehearsal.scheme = scheme;
	rehearsal.len = input.len;
	for (size_t i = 0; i < input.len; i++)
		rehearsal.input[i] = (uint8_t)input.p[i];
	return 0;
}

static void
rehearsal_cancel(uint64_t cancel_id)
{
	(void)cancel_id;
	rehearsal.job = NULL;
}

static void
on_job(void *ctx)
{
	(void)ctx;
}

/* The signer's side. */
static void
answer(void)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(rehearsal.key, NULL);
	size_t n = sizeof(rehearsal.output);
	struct tls_job *job = rehearsal.job;

	if (c == NULL || EVP_PKEY_sign_init(c) != 1 ||
	    (rehearsal.scheme == TLS_RSA_RAW &&
		EVP_PKEY_CTX_set_rsa_padding(c, RSA_NO_PADDING) != 1) ||
	    EVP_PKEY_sign(
		c, rehearsal.output, &n, rehearsal.input, rehearsal.len) != 1)
		n = 0;
	EVP_PKEY_CTX_free(c);
	rehearsal.job = NULL;
	tls_job_done(job, (struct str){ (const char *)rehearsal.output, n });
}

/* Its certificate, as PEM. */
static BIO *
certificate(EVP_PKEY *key)
{
	BIO *pem = BIO_new(BIO_s_mem());
	X509 *cert = X509_new();
	X509_NAME *name = cert == NULL ? NULL : X509_get_subject_name(cert);

	if (pem == NULL || name == NULL || key == NULL ||
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		(const unsigned char *)"localhost", -1, -1, 0) != 1 ||
	    X509_set_issuer_name(cert, name) != 1 ||
	    X509_set_pubkey(cert, key) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), 0) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), DAY_S) == NULL ||
	    X509_sign(cert, key, EVP_sha256()) == 0 ||
	    PEM_write_bio_X509(pem, cert) != 1) {
		BIO_free(pem);
		pem = NULL;
	}
	X509_free(cert);
	return pem;
}

static struct tls_server *
server(EVP_PKEY *key, struct fault *why)
{
	BIO *pem = certificate(key);
	char *text;
	struct tls_server *s = NULL;

	if (pem != NULL && BIO_write(pem, "", 1) == 1 &&
	    BIO_get_mem_data(pem, &text) > 0) {
		const char *chains[] = { text };
		struct tls_identity id = { chains, 1 };
		struct tls_server_conf conf = { &id, 1, 0, false, NULL };

		s = tls_server_new(&conf, why);
	} else {
		fault_set(why, FAULT_OURS, "%s", tls_reason());
	}
	BIO_free(pem);
	return s;
}

/* Both in turn until both are there. */
static bool
shake(struct tls *t, SSL *client)
{
	char byte;

	for (int i = 0; i < ROUNDS_MAX; i++) {
		enum tls_want w = tls_handshake(t);
		int r = SSL_do_handshake(client);

		if (w == TLS_ASYNC && rehearsal.job != NULL)
			answer();
		if (w == TLS_DONE && r == 1) {
			SSL_read(client, &byte, 1); /* the ticket */
			return true;
		}
		if (w == TLS_FAILED || w == TLS_END)
			return false;
	}
	return false;
}

static bool
rehearse(struct tls_server *s, int version, struct fault *why)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *client = ctx == NULL ? NULL : SSL_new(ctx);
	struct tls *t = tls_accept(s);
	BIO *here = NULL, *there = NULL;
	char name[] = "localhost";
	bool ok = false;

	if (client != NULL && t->ssl != NULL &&
	    SSL_set_max_proto_version(client, version) == 1 &&
	    BIO_new_bio_pair(&here, BIO_SIZE, &there, BIO_SIZE) == 1) {
		SSL_set_bio(t->ssl, here, here);
		SSL_set_bio(client, there, there);
		SSL_set_connect_state(client);
		SSL_set_tlsext_host_name(client, name);
		t->on_job = on_job;
		ok = shake(t, client);
	}
	if (!ok)
		fault_set(why, FAULT_OURS, "%s",
		    t->error != NULL ? t->error : tls_reason());
	tls_free(&t);
	SSL_free(client);
	SSL_CTX_free(ctx);
	return ok;
}

static EVP_PKEY *
rsa_key(void)
{
	BIO *pem = BIO_new_mem_buf(rsa_pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, NULL, NULL);

	BIO_free(pem);
	return key;
}

void
tls_prepare(void)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	uint8_t ticket_key[80];

	if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS |
				 OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
				 OPENSSL_INIT_LOAD_CONFIG,
		NULL) != 1 ||
	    RAND_bytes(ticket_key, sizeof(ticket_key)) != 1 ||
	    ASYNC_is_capable() != 1)
		fatal("OpenSSL does not start");
	tls_set_signer(rehearsal_sign, rehearsal_cancel);
	tls_set_tickets(
	    (struct str){ (const char *)ticket_key, sizeof(ticket_key) });
	for (int kind = 0; kind < 2; kind++) {
		struct fault why = { .class = FAULT_NONE };
		struct tls_server *s;

		rehearsal.key = kind == 0 ? EVP_EC_gen("P-256") : rsa_key();
		s = server(rehearsal.key, &why);
		for (size_t v = 0; v < 2; v++)
			if (s == NULL || !rehearse(s, versions[v], &why))
				fatal("TLS does not work: %s", why.text);
		tls_server_unref(&s);
		EVP_PKEY_free(rehearsal.key);
		rehearsal.key = NULL;
	}
	tls_set_tickets(STR(""));
	tls_set_signer(NULL, NULL);
	ERR_clear_error();
}
