/*
 * What a block for a private RSA operation looks like when it is a signature of
 * TLS: PKCS #1 v1.5 or PSS (RFC 8017 9.1, 9.2) over SHA-256, SHA-384 or
 * SHA-512. No secret that was encrypted to the key has this form.
 */
#ifndef POSTERN_VAULT_PADDING_H
#define POSTERN_VAULT_PADDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is block (as long as a modulus of that many bits) one of them? */
bool padding_is_of_signature(const uint8_t *block, size_t len, size_t bits);

#endif
