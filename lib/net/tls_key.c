/*
 * Keys that are elsewhere: to OpenSSL they are RSA and EC keys with a method
 * of their own, which asks the signer and lets the handshake pause (it runs
 * as an async job, on a stack of its own) until the answer is there.
 *
 * Methods are the way of OpenSSL 1.1, deprecated but whole in 3.0: a key with
 * a foreign method stays with it. A provider could take the place of this
 * file.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/async.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/net/tls_own.h"

static tls_sign_fn *sign;
static tls_cancel_fn *cancel;
/* One thread, one handshake at a time; it may be paused, and another's turn
 * come. */
static struct tls *current;

void
tls_set_signer(tls_sign_fn *sign_fn, tls_cancel_fn *cancel_fn)
{
	sign = sign_fn;
	cancel = cancel_fn;
}

bool
tls_has_signer(void)
{
	return sign != NULL;
}

void
tls_key_enter(struct tls *t)
{
	current = t;
}

/* --- the question --- */

void
tls_job_done(struct tls_job *job, struct str output)
{
	struct tls *t = job->tls;

	if (output.len > 0 && output.len <= job->max) {
		memcpy(job->to, output.p, output.len);
		job->len = output.len;
	}
	job->done = true;
	t->on_job(t->ctx);
}

void
tls_key_abandon(struct tls *t)
{
	if (t->job == NULL || t->job->done)
		return;
	cancel(t->job->cancel_id);
	t->job->done = true;
}

/* Waits, on the job's own stack. */
static int
wait_for(struct tls_job *job)
{
	struct tls *t = job->tls;

	t->job = job;
	while (!job->done)
		if (ASYNC_pause_job() == 0)
			tls_key_abandon(t);
	t->job = NULL;
	if (job->len > 0)
		return (int)job->len;
	t->error = "the key's owner gives no signature";
	return -1;
}

/* The length of what was written to to (room for max), or -1. */
static int
ask(const uint8_t *key, enum tls_scheme scheme, struct str input, uint8_t *to,
    size_t max)
{
	struct tls_job job = { .tls = current, .to = to, .max = max };

	if (key == NULL || current == NULL || current->doomed || sign == NULL ||
	    ASYNC_get_current_job() == NULL)
		return -1;
	if (sign(&job, key, scheme, input, &job.cancel_id) < 0) {
		current->error = "the key's owner cannot be asked";
		return -1;
	}
	return wait_for(&job);
}

/* --- what a key carries along: its id --- */

static void
free_id(void *parent, void *id, CRYPTO_EX_DATA *data, int index, long argl,
    void *argp)
{
	(void)parent;
	(void)data;
	(void)index;
	(void)argl;
	(void)argp;
	free(id);
}

static int
rsa_index(void)
{
	static int index = -1;

	if (index < 0)
		index = RSA_get_ex_new_index(0, NULL, NULL, NULL, free_id);
	return index;
}

static int
ec_index(void)
{
	static int index = -1;

	if (index < 0)
		index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, free_id);
	return index;
}

/* --- RSA --- */

/* What is sent is always as long as the modulus: the padding is ours. */
static int
rsa_private(int len, const unsigned char *from, unsigned char *to, RSA *rsa,
    int padding)
{
	unsigned char block[TLS_SIGN_MAX];
	int size = RSA_size(rsa), n;

	if (size > TLS_SIGN_MAX || len < 0 || len > size)
		return -1;
	if (padding == RSA_PKCS1_PADDING) {
		if (RSA_padding_add_PKCS1_type_1(block, size, from, len) != 1)
			return -1;
	} else if (padding == RSA_NO_PADDING && len == size) {
		memcpy(block, from, (size_t)len);
	} else {
		return -1;
	}
	n = ask(RSA_get_ex_data(rsa, rsa_index()), TLS_RSA_RAW,
	    (struct str){ (const char *)block, (size_t)size }, to,
	    (size_t)size);
	return n == size ? size : -1;
}

/* No cipher of ours needs it, and nobody does it for us. */
static int
rsa_decrypt(int len, const unsigned char *from, unsigned char *to, RSA *rsa,
    int padding)
{
	(void)len;
	(void)from;
	(void)to;
	(void)rsa;
	(void)padding;
	return -1;
}

static RSA_METHOD *
rsa_method(void)
{
	static RSA_METHOD *method;

	if (method != NULL)
		return method;
	method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
	if (method == NULL)
		fatal("out of memory");
	RSA_meth_set1_name(method, "elsewhere");
	RSA_meth_set_priv_enc(method, rsa_private);
	RSA_meth_set_priv_dec(method, rsa_decrypt);
	return method;
}

/* --- ECDSA --- */

/* NOLINTBEGIN(readability-function-size): its parameters are OpenSSL's */
static int
ec_sign(int type, const unsigned char *digest, int len, unsigned char *sig,
    unsigned int *siglen, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
	int max = ECDSA_size(ec), n;

	(void)type;
	(void)kinv;
	(void)r;
	if (len <= 0 || max <= 0)
		return 0;
	n = ask(EC_KEY_get_ex_data(ec, ec_index()), TLS_ECDSA,
	    (struct str){ (const char *)digest, (size_t)len }, sig,
	    (size_t)max);
	if (n <= 0)
		return 0;
	*siglen = (unsigned int)n;
	return 1;
}

/* NOLINTEND(readability-function-size) */

static int
ec_setup(EC_KEY *ec, BN_CTX *ctx, BIGNUM **kinv, BIGNUM **r)
{
	(void)ec;
	(void)ctx;
	(void)kinv;
	(void)r;
	return 0;
}

static ECDSA_SIG *
ec_sign_sig(const unsigned char *digest, int len, const BIGNUM *kinv,
    const BIGNUM *r, EC_KEY *ec)
{
	(void)digest;
	(void)len;
	(void)kinv;
	(void)r;
	(void)ec;
	return NULL;
}

static EC_KEY_METHOD *
ec_method(void)
{
	static EC_KEY_METHOD *method;

	if (method != NULL)
		return method;
	method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	if (method == NULL)
		fatal("out of memory");
	EC_KEY_METHOD_set_sign(method, ec_sign, ec_setup, ec_sign_sig);
	return method;
}

/* --- keys --- */

/* SHA-256 of the SubjectPublicKeyInfo; the caller's, NULL: cannot be had. */
static uint8_t *
key_id(const X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	uint8_t *id;

	if (len <= 0)
		return NULL;
	id = xmalloc(TLS_KEY_ID);
	SHA256(der, (size_t)len, id);
	OPENSSL_free(der);
	return id;
}

static EVP_PKEY *
rsa_key(const EVP_PKEY *public, uint8_t *id)
{
	const RSA *from = EVP_PKEY_get0_RSA(public);
	RSA *rsa = from == NULL || RSA_size(from) > TLS_SIGN_MAX ?
		       NULL :
		       RSAPublicKey_dup(from);
	EVP_PKEY *key = EVP_PKEY_new();

	if (rsa != NULL && key != NULL &&
	    RSA_set_method(rsa, rsa_method()) == 1 &&
	    RSA_set_ex_data(rsa, rsa_index(), id) == 1 &&
	    EVP_PKEY_assign_RSA(key, rsa) == 1)
		return key;
	RSA_free(rsa);
	EVP_PKEY_free(key);
	return NULL;
}

static EVP_PKEY *
ec_key(const EVP_PKEY *public, uint8_t *id)
{
	const EC_KEY *from = EVP_PKEY_get0_EC_KEY(public);
	EC_KEY *ec = from == NULL ? NULL : EC_KEY_dup(from);
	EVP_PKEY *key = EVP_PKEY_new();

	if (ec != NULL && key != NULL &&
	    EC_KEY_set_method(ec, ec_method()) == 1 &&
	    EC_KEY_set_ex_data(ec, ec_index(), id) == 1 &&
	    EVP_PKEY_assign_EC_KEY(key, ec) == 1)
		return key;
	EC_KEY_free(ec);
	EVP_PKEY_free(key);
	return NULL;
}

EVP_PKEY *
tls_key_of(X509 *cert, struct fault *why)
{
	const EVP_PKEY *public = X509_get0_pubkey(cert);
	uint8_t *id = key_id(cert);
	EVP_PKEY *key = NULL;

	if (public == NULL || id == NULL) {
		fault_set(why, FAULT_PERM, "its key cannot be read");
	} else {
		switch (EVP_PKEY_get_base_id(public)) {
		case EVP_PKEY_RSA:
			key = rsa_key(public, id);
			break;
		case EVP_PKEY_EC:
			key = ec_key(public, id);
			break;
		default:
			break;
		}
		if (key == NULL)
			fault_set(why, FAULT_PERM,
			    "a key of a kind that is not supported (RSA up to "
			    "8192 bits or ECDSA are)");
	}
	if (key == NULL)
		free(id);
	return key;
}
