/* delivery_vault, the vault's end. */
#ifndef POSTERN_VAULT_FROM_DELIVERY_H
#define POSTERN_VAULT_FROM_DELIVERY_H

#include <stdint.h>

#include "edges/delivery_vault.h"
#include "edges/edges.h"

/* As this instance, whose questions alone are answered; after askers_init. */
void from_delivery_init(enum vault_instance instance);
struct channel *from_delivery_add(uint16_t instance, int socket);

#endif
