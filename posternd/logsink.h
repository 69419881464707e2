/* Where the log goes. */
#ifndef POSTERN_POSTERND_LOGSINK_H
#define POSTERN_POSTERND_LOGSINK_H

#include "lib/base/fault.h"
#include "posternd/gateway.h"

/* Opens it into gw and makes it the parent's log (which owns the
 * descriptor). Returns 0, or -1 with why, and the log stays what it was. */
int logsink_open(struct gateway *gw, struct fault *why);

#endif
