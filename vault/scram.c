#include "vault/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/mail/base64.h"

static struct str
hash_str(const uint8_t hash[static SCRAM_HASH])
{
	return (struct str){ (const char *)hash, SCRAM_HASH };
}

void
scram_hmac(struct str key, struct str text, uint8_t out[static SCRAM_HASH])
{
	unsigned int len = SCRAM_HASH;
	if (HMAC(EVP_sha256(), key.p, (int)key.len, (const uint8_t *)text.p,
		text.len, out, &len) == NULL)
		fatal("OpenSSL has no HMAC");
}

static void
hash(const uint8_t in[static SCRAM_HASH], uint8_t out[static SCRAM_HASH])
{
	if (EVP_Digest(in, SCRAM_HASH, out, NULL, EVP_sha256(), NULL) != 1)
		fatal("OpenSSL has no SHA-256");
}

/* --- the text --- */

/* The length, or 0. */
static size_t
take_bytes(struct str text, uint8_t *out, size_t size)
{
	struct buf b;
	size_t n = 0;
	buf_init(&b, size);
	if (base64_decode(text, &b) == 0 && b.len > 0) {
		n = b.len;
		memcpy(out, b.p, n);
		explicit_bzero(b.p, b.len);
	}
	buf_clear(&b);
	return n;
}

int
scram_parse(struct str value, struct scram_secret *out)
{
	uint64_t iterations;
	struct str prefix = STR(SCRAM_PREFIX);
	if (!str_eq(str_head(value, prefix.len), prefix))
		return -1;
	value = str_skip(value, prefix.len);
	if (str_to_u64(str_cut(&value, ','), SCRAM_ITERATIONS_MAX,
		&iterations) == -1 ||
	    iterations < SCRAM_ITERATIONS_MIN)
		return -1;
	out->iterations = (uint32_t)iterations;
	out->salt_len =
	    take_bytes(str_cut(&value, ','), out->salt, sizeof(out->salt));
	return out->salt_len > 0 &&
		       take_bytes(str_cut(&value, ','), out->stored_key,
			   SCRAM_HASH) == SCRAM_HASH &&
		       take_bytes(value, out->server_key, SCRAM_HASH) ==
			   SCRAM_HASH ?
		   0 :
		   -1;
}

/* --- the arithmetic --- */

bool
scram_is_password(const struct scram_secret *s, struct str password)
{
	uint8_t salted[SCRAM_HASH], key[SCRAM_HASH], stored[SCRAM_HASH];
	if (PKCS5_PBKDF2_HMAC(password.p, (int)password.len, s->salt,
		(int)s->salt_len, (int)s->iterations, EVP_sha256(), SCRAM_HASH,
		salted) != 1)
		fatal("OpenSSL has no PBKDF2");
	scram_hmac(hash_str(salted), STR("Client Key"), key);
	hash(key, stored);
	bool is = CRYPTO_memcmp(stored, s->stored_key, SCRAM_HASH) == 0;
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(key, sizeof(key));
	explicit_bzero(stored, sizeof(stored));
	return is;
}

bool
scram_is_proof(const struct scram_secret *s, struct str auth_message,
    struct str proof, uint8_t signature[static SCRAM_HASH])
{
	uint8_t key[SCRAM_HASH], stored[SCRAM_HASH];
	scram_hmac(hash_str(s->server_key), auth_message, signature);
	if (proof.len != SCRAM_HASH)
		return false;
	/* ClientKey := ClientProof XOR ClientSignature */
	scram_hmac(hash_str(s->stored_key), auth_message, key);
	for (size_t i = 0; i < SCRAM_HASH; i++)
		key[i] ^= (uint8_t)proof.p[i];
	hash(key, stored);
	bool is = CRYPTO_memcmp(stored, s->stored_key, SCRAM_HASH) == 0;
	explicit_bzero(key, sizeof(key));
	return is;
}
