/* What the vaults do for us: signatures with the keys of our certificates,
 * credentials for AUTH. */
#ifndef POSTERN_DELIVERY_FROM_VAULT_H
#define POSTERN_DELIVERY_FROM_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/base/str.h"
#include "lib/ipc/channel.h"

/* Before everything else. Sets the signer of lib/net/tls.h. */
void from_vault_init(struct loop *l);
/* A socket to this instance; the one before is dead, and what it owed an
 * answer has failed. */
struct channel *from_vault_open(uint16_t instance, int socket);
void from_vault_close(void);

struct credentials_wait {
	uint64_t id; /* 0: waits for nothing */
	/* Once, from the loop. found false: there are none, or no vault. The
	 * views are good until it returns; they are wiped then. */
	void (*fn)(void *ctx, bool found, struct str user, struct str password);
	void *ctx;
};

/* fn is called once, never before this returned. */
void from_vault_ask_credentials(
    const char *table, const char *label, struct credentials_wait *w);
/* w waits no longer, if it did. */
void from_vault_cancel(struct credentials_wait *w);

#endif
