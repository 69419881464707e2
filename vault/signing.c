/*
 * RSA comes as a block that the asker has padded (OpenSSL's method of a key
 * knows no other form), ECDSA as a digest. A block that is padded otherwise
 * could be something encrypted.
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
fits(const EVP_PKEY *pkey, enum vault_scheme scheme, struct str input)
{
	int kind = EVP_PKEY_get_base_id(pkey);
	switch (scheme) {
	case VAULT_RSA_RAW:
		return kind == EVP_PKEY_RSA &&
		       input.len == (size_t)EVP_PKEY_get_size(pkey) &&
		       padding_is_of_signature((const uint8_t *)input.p,
			   input.len, (size_t)EVP_PKEY_get_bits(pkey));
	case VAULT_ECDSA:
		return kind == EVP_PKEY_EC && is_digest_size(input.len);
	}
	return false;
}

/* Blinding is on: it is RSA's default. */
static size_t
sign(EVP_PKEY *pkey, enum vault_scheme scheme, struct str input,
    uint8_t out[static VAULT_SIGN_MAX])
{
	size_t len = VAULT_SIGN_MAX;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	bool done =
	    ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
	    (scheme != VAULT_RSA_RAW ||
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1) &&
	    EVP_PKEY_sign(
		ctx, out, &len, (const uint8_t *)input.p, input.len) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return done ? len : 0;
}

size_t
signing_make(struct str key, enum vault_scheme scheme, struct str input,
    uint8_t out[static VAULT_SIGN_MAX])
{
	EVP_PKEY *pkey = keys_find(key);
	return pkey != NULL && fits(pkey, scheme, input) ?
		   sign(pkey, scheme, input, out) :
		   0;
}

static void
try(EVP_PKEY *pkey, enum vault_scheme scheme, size_t len)
{
	static const char zeros[VAULT_SIGN_MAX];
	uint8_t out[VAULT_SIGN_MAX];
	if (pkey == NULL ||
	    sign(pkey, scheme, (struct str){ zeros, len }, out) == 0)
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
