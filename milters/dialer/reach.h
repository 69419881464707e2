/* A socket on its way to a filter. */
#ifndef POSTERN_DIALER_REACH_H
#define POSTERN_DIALER_REACH_H

#include <stdbool.h>

#include "lib/base/fault.h"
#include "lib/net/addr.h"

/* Before the jail: reads how the groups are called. */
void reach_init(void);
/* Connected to a Unix socket; -1 with why in words: what is missing, or which
 * group may. full: it has all the connections that it lets wait, and may take
 * more soon. */
int reach_path(const char *path, bool *full, struct fault *why);
/* Connecting, or connected, by TCP; -1 with why. */
int reach_addr(const struct addr *a, uint16_t port, struct fault *why);

#endif
