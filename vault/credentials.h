/* What next hops want from us: the tables of `relay ... auth', whose values
 * are here alone. */
#ifndef POSTERN_VAULT_CREDENTIALS_H
#define POSTERN_VAULT_CREDENTIALS_H

#include <stdbool.h>

#include "lib/base/str.h"
#include "lib/rules/config.h"

/* Keeps a reference until the next. */
void credentials_set_config(struct config *c);
/* The user:password of a label, in a table that a relay names for it. Views.
 * False: there is none. */
bool credentials_find(
    struct str table, struct str label, struct str *user, struct str *password);
void credentials_clear(void);

#endif
