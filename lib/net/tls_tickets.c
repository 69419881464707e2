/*
 * Session tickets (RFC 5077, and RFC 8446 4.6.1) with keys that are given to
 * us, so that each process takes the tickets of every other: of 80 bytes 16
 * are the name, 32 for HMAC-SHA256, 32 for AES-256.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "lib/net/tls_own.h"

enum { NAME_SIZE = 16, MAC_SIZE = 32, KEYS_MAX = 4 };

struct ticket_key {
	uint8_t name[NAME_SIZE];
	uint8_t mac[MAC_SIZE];
	uint8_t aes[32];
};

_Static_assert(sizeof(struct ticket_key) == 80, "as they come");

static struct ticket_key held[KEYS_MAX];
static size_t nkeys;

void
tls_set_tickets(struct str keys)
{
	explicit_bzero(held, sizeof(held));
	nkeys = keys.len / sizeof(held[0]);
	if (nkeys > KEYS_MAX)
		nkeys = KEYS_MAX;
	if (nkeys > 0)
		memcpy(held, keys.p, nkeys * sizeof(held[0]));
}

bool
tls_tickets_are_on(void)
{
	return nkeys > 0;
}

static int
set_mac(EVP_MAC_CTX *mac, struct ticket_key *k)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(
		    OSSL_MAC_PARAM_KEY, k->mac, sizeof(k->mac)),
		OSSL_PARAM_construct_utf8_string(
		    OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params);
}

static int
seal(unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac)
{
	struct ticket_key *k = &held[0];

	if (nkeys == 0 ||
	    RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1 ||
	    EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv) !=
		1 ||
	    set_mac(mac, k) != 1)
		return -1;
	memcpy(name, k->name, NAME_SIZE);
	return 1;
}

/* 0: none of ours; 2: good, but the client shall have a fresh one. */
static int
open_one(const unsigned char *name, const unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	size_t i = 0;

	while (i < nkeys && memcmp(held[i].name, name, NAME_SIZE) != 0)
		i++;
	if (i == nkeys)
		return 0;
	if (set_mac(mac, &held[i]) != 1 ||
	    EVP_DecryptInit_ex(
		cipher, EVP_aes_256_cbc(), NULL, held[i].aes, iv) != 1)
		return -1;
	return i == 0 ? 1 : 2;
}

static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	(void)ssl;
	return encrypt ? seal(name, iv, cipher, mac) :
			 open_one(name, iv, cipher, mac);
}

void
tls_tickets_use(SSL_CTX *ctx)
{
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}
