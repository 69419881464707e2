/* The sockets that the gateway listens on; bound once, kept for its life. */
#ifndef POSTERN_POSTERND_LISTEN_H
#define POSTERN_POSTERND_LISTEN_H

#include "posternd/gateway.h"

/* Binds all listeners and the control socket into gw; complains about each
 * that cannot be had. */
void listen_open(struct gateway *gw);
/* Removes the Unix sockets from the file system. */
void listen_remove(const struct gateway *gw);

#endif
