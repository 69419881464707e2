/* Which address of ours a connection comes from: `source' of an action. */
#ifndef POSTERN_DELIVERY_BIND_ADDR_H
#define POSTERN_DELIVERY_BIND_ADDR_H

#include "lib/base/fault.h"
#include "lib/net/addr.h"
#include "lib/rules/config.h"

/* The pools of a configuration begin anew. */
void bind_addr_set_config(const struct config *c);
/* The next one of the pool in the family of to; ADDR_NONE when the action has
 * no sources. 0, or -1: it has some, but none of that family. */
int bind_addr_pick(
    const struct action *a, const struct addr *to, struct addr *out);
/* fd will come from there, with a port that the kernel chooses. 0, or -1 with
 * why, which the log has, too. */
int bind_addr_bind(int fd, const struct addr *source, struct fault *why);

#endif
