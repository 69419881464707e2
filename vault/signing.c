/*
 * RSA comes as a block that smtpd has padded (OpenSSL's method of a key knows
 * no other form), ECDSA as a digest. A block that is padded otherwise could be
 * something encrypted.
 */
#include "vault/signing.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdbool.h>

#include "lib/base/log.h"
#include "vault/keys.h"
#include "vault/padding.h"

/* Of digests that TLS signs with ECDSA: SHA-256, SHA-384, SHA-512. */
static bool
is_digest_size(size_t n)
{
	return n == 32 || n == 48 || n == 64;
}

static bool
fits(const struct ask_sign *m, const EVP_PKEY *pkey)
{
	int kind = EVP_PKEY_get_base_id(pkey);
	switch ((enum vault_scheme)m->scheme) {
	case VAULT_RSA_RAW:
		return kind == EVP_PKEY_RSA &&
		       m->input.len == (size_t)EVP_PKEY_get_size(pkey) &&
		       padding_is_of_signature((const uint8_t *)m->input.p,
			   m->input.len, (size_t)EVP_PKEY_get_bits(pkey));
	case VAULT_ECDSA:
		return kind == EVP_PKEY_EC && is_digest_size(m->input.len);
	}
	return false;
}

/* Blinding is on: it is RSA's default. */
static size_t
sign(EVP_PKEY *pkey, const struct ask_sign *m,
    uint8_t out[static VAULT_SIGN_MAX])
{
	size_t len = VAULT_SIGN_MAX;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	bool done =
	    ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
	    (m->scheme != VAULT_RSA_RAW ||
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1) &&
	    EVP_PKEY_sign(
		ctx, out, &len, (const uint8_t *)m->input.p, m->input.len) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return done ? len : 0;
}

size_t
signing_make(const struct ask_sign *m, uint8_t out[static VAULT_SIGN_MAX])
{
	EVP_PKEY *pkey = keys_find(m->key);
	return pkey != NULL && fits(m, pkey) ? sign(pkey, m, out) : 0;
}

static void
try(EVP_PKEY *pkey, enum vault_scheme scheme, size_t len)
{
	static const char zeros[VAULT_SIGN_MAX];
	uint8_t out[VAULT_SIGN_MAX];
	struct ask_sign m = { .scheme = (uint8_t)scheme,
		.input = { zeros, len } };
	if (pkey == NULL || sign(pkey, &m, out) == 0)
		fatal("OpenSSL cannot sign");
	EVP_PKEY_free(pkey);
}

void
signing_warm_up(void)
{
	enum { BITS = 1024 }; /* of a key that is thrown away */

	try(EVP_RSA_gen(BITS), VAULT_RSA_RAW, BITS / 8);
	try(EVP_EC_gen("P-256"), VAULT_ECDSA, 32);
}
