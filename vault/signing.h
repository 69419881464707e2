/* The private operation of a key, and nothing else: no padding is ever taken
 * off here. */
#ifndef POSTERN_VAULT_SIGNING_H
#define POSTERN_VAULT_SIGNING_H

#include <stddef.h>
#include <stdint.h>

#include "edges/vault_limits.h"
#include "lib/base/str.h"

/* One operation of each kind with a key made up for it: what OpenSSL gets
 * ready at its first use is ready before the jail. */
void signing_warm_up(void);
/* The bytes written to out; 0: there is no such key, the input is not of a
 * length that it signs, or it failed. */
size_t signing_make(struct str key, enum vault_scheme scheme, struct str input,
    uint8_t out[static VAULT_SIGN_MAX]);

#endif
