/* Is it the password? Who asks for a user that is not there gets the same
 * answer as for a wrong password, and after the same time. */
#ifndef POSTERN_VAULT_PASSWORDS_H
#define POSTERN_VAULT_PASSWORDS_H

#include <stdint.h>

#include "edges/smtpd_vault.h"
#include "lib/rules/config.h"
#include "vault/scram.h"

/* Before everything else. */
void passwords_init(void);
void passwords_set_config(struct config *c);
/* Takes as long as the hash wants it to. */
enum vault_verdict passwords_check(const struct ask_password *m);
/* RIGHT: the salt and iterations of out are the user's, or made up; its keys
 * are not to be looked at. */
enum vault_verdict passwords_scram(
    const struct ask_scram *m, struct scram_secret *out);
enum vault_verdict passwords_scram_proof(
    const struct ask_scram_proof *m, uint8_t signature[static SCRAM_HASH]);

#endif
