/* smtpd_vault, the vault's end. */
#ifndef POSTERN_VAULT_FROM_SMTPD_H
#define POSTERN_VAULT_FROM_SMTPD_H

#include <stdint.h>

#include "edges/smtpd_vault.h"
#include "lib/base/loop.h"

/* As this instance, whose questions alone are answered. */
void from_smtpd_init(struct loop *l, enum vault_instance instance);
struct channel *from_smtpd_add(uint16_t instance, int socket);

#endif
