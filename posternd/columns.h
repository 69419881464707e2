/* The counters that all smtpds share (lib/net/sources.h), one column each. */
#ifndef POSTERN_POSTERND_COLUMNS_H
#define POSTERN_POSTERND_COLUMNS_H

#include "lib/base/fault.h"
#include "posternd/gateway.h"

/* New ones for the smtpds that will be started; those of before keep theirs.
 * 0/-1. */
int columns_make(struct gateway *gw, struct fault *why);

#endif
