/* What a key is for, by the configuration: a process can have things signed
 * only with the keys of certificates that it shows. */
#ifndef POSTERN_VAULT_KEY_USES_H
#define POSTERN_VAULT_KEY_USES_H

#include <stdbool.h>

#include "lib/base/str.h"
#include "lib/rules/config.h"

enum key_use {
	KEY_OF_LISTENER = 1,
	KEY_OF_RELAY = 2 /* of a client certificate */
};

/* What was so by the configuration before stays so, until the next one. */
void key_uses_set_config(const struct config *c);
/* id: as keys_find has it. */
bool key_uses_allow(struct str id, enum key_use use);
/* Forgets all. */
void key_uses_clear(void);

#endif
