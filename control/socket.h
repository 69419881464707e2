/* The control socket: who comes in, and how many. */
#ifndef POSTERN_CONTROL_SOCKET_H
#define POSTERN_CONTROL_SOCKET_H

#include "control/access.h"
#include "lib/base/loop.h"

/* fd listens and is taken over; accepting begins with socket_start. After that
 * it takes the place of the one before, whose callers stay. */
void socket_set(int fd);
void socket_set_access(const struct access *a);
void socket_start(struct loop *l);
void socket_stop(void);

#endif
