/* The channels to the two vaults. */
#ifndef POSTERN_SMTPD_FROM_VAULT_H
#define POSTERN_SMTPD_FROM_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "edges/smtpd_vault.h"
#include "lib/base/loop.h"
#include "lib/base/str.h"

/* A channel to this instance (enum vault_instance) over fd (taken); the one
 * before is dead. For VAULT_KEYS: from then on it is TLS' signer, until it
 * closes. */
struct channel *from_vault_start(struct loop *l, uint16_t instance, int fd);
void from_vault_stop(void);

/* What a question about a password has come to; views live during the call. */
struct vault_answer {
	enum vault_verdict verdict; /* VAULT_FAULT also: the vault is gone */
	struct str salt;            /* of ask_scram */
	uint32_t iterations;
	struct str signature; /* of ask_scram_proof */
};

typedef void vault_fn(void *ctx, const struct vault_answer *a);

/* Each: 0, and fn is called exactly once, never from inside; *id is for
 * from_vault_cancel. -1: there is no vault now. */
int from_vault_password(
    const struct ask_password *m, vault_fn *fn, void *ctx, uint64_t *id);
int from_vault_scram(
    const struct ask_scram *m, vault_fn *fn, void *ctx, uint64_t *id);
int from_vault_scram_proof(
    const struct ask_scram_proof *m, vault_fn *fn, void *ctx, uint64_t *id);
void from_vault_cancel(uint64_t id);

#endif
