/* Connections to filters, by way of the dialer. */
#ifndef POSTERN_MILTERS_CLIENT_DIAL_H
#define POSTERN_MILTERS_CLIENT_DIAL_H

#include <stdint.h>

#include "lib/rules/milter_conf.h"

struct dial; /* one question to the dialer */

/* fd: connecting or connected, the callee's; or -1 and why (static or living
 * during the call). Exactly once, never before dial_begin returned. */
typedef void dialed_fn(void *ctx, int fd, const char *why);

struct dial *dial_begin(
    const struct milter *m, uint32_t socket, dialed_fn *fn, void *ctx);
/* fn will not be called any more. Clears the pointer; NULL is allowed. */
void dial_cancel(struct dial **d);

#endif
