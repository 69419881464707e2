/*
 * The private keys, found by the SHA-256 of their public half
 * (SubjectPublicKeyInfo, DER). Their numbers lie in OpenSSL's secure heap:
 * locked, in no core file, between pages that nobody may touch.
 */
#ifndef POSTERN_VAULT_KEYS_H
#define POSTERN_VAULT_KEYS_H

#include <openssl/types.h>
#include <stdint.h>

#include "lib/base/str.h"

/* Before everything else: makes the heap. */
void keys_init(void);
/* A key of the configuration that comes, in file name (for the log); fd is
 * taken, and read when keys_change comes. */
void keys_bring(struct str name, int fd);
/* The keys that were brought are the present ones. Those that were present
 * stay too, until the next change: handshakes with them are under way. */
void keys_change(void);
/* NULL: none. It is the callee's, until keys_change. */
EVP_PKEY *keys_find(struct str id);
/* Forgets all. */
void keys_clear(void);

#endif
