/*
 * Who waits at a Unix socket whose listener does not take connections as fast
 * as they come: connect() never waits there. They are tried again and again,
 * in their order, until their time is over.
 */
#ifndef POSTERN_DIALER_CROWD_H
#define POSTERN_DIALER_CROWD_H

#include "lib/base/fault.h"
#include "lib/base/loop.h"

/* Before the jail. */
void crowd_init(struct loop *l);

/* fd: connected, the callee's; -1: why. */
typedef void crowd_fn(void *ctx, int fd, const struct fault *why);

struct crowd_wait;

/* Calls fn once: before it returns when the socket takes us or fails, which
 * gives NULL; else later, when ms have passed at the latest. */
struct crowd_wait *crowd_connect(
    const char *path, uint64_t ms, crowd_fn *fn, void *ctx);
/* The asker goes away; fn will not run. Clears the pointer. */
void crowd_cancel(struct crowd_wait **w);

#endif
