/*
 * SCRAM-SHA-256, the part that knows something (RFC 5802 3, RFC 7677).
 *
 * A secret is `{SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY', the last
 * three in base64: the form of Dovecot.
 */
#ifndef POSTERN_VAULT_SCRAM_H
#define POSTERN_VAULT_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

#define SCRAM_PREFIX "{SCRAM-SHA-256}"

enum {
	SCRAM_HASH = 32,
	SCRAM_SALT_MAX = 64,
	SCRAM_ITERATIONS_MIN = 4096, /* RFC 7677 4 */
	SCRAM_ITERATIONS_MAX = 10000000
};

struct scram_secret {
	uint8_t salt[SCRAM_SALT_MAX];
	size_t salt_len;
	uint32_t iterations;
	uint8_t stored_key[SCRAM_HASH], server_key[SCRAM_HASH];
};

/* With its prefix. 0/-1 */
int scram_parse(struct str value, struct scram_secret *out);
/* HMAC-SHA-256. */
void scram_hmac(
    struct str key, struct str text, uint8_t out[static SCRAM_HASH]);
/* Is this the password? Takes as long as the iterations do. */
bool scram_is_password(const struct scram_secret *s, struct str password);
/* Is the proof right over the AuthMessage? signature gets ServerSignature. */
bool scram_is_proof(const struct scram_secret *s, struct str auth_message,
    struct str proof, uint8_t signature[static SCRAM_HASH]);

#endif
