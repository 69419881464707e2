/*
 * A configuration on trial: unless somebody confirms it in time the one before
 * comes back, as it was in memory; its files are not read again.
 */
#ifndef POSTERN_POSTERND_CONFIRM_H
#define POSTERN_POSTERND_CONFIRM_H

#include "posternd/gateway.h"

/* gw->conf waits to be confirmed for so long; former (a reference, taken)
 * comes back else. When the one before waited already, that from before it
 * still is what comes back, and the time begins anew. */
void confirm_begin(struct gateway *gw, struct config *former, uint64_t ms);
bool confirm_is_waiting(const struct gateway *gw);
/* gw->conf stays. Nothing happens when it does not wait. */
void confirm_settle(struct gateway *gw);

#endif
