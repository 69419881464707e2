/* delivery_dialer, the dialer's end. */
#ifndef POSTERN_DIALER_FROM_DELIVERY_H
#define POSTERN_DIALER_FROM_DELIVERY_H

#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/ipc/channel.h"
#include "lib/rules/config.h"

enum { DELIVERY_DIALS_MAX = 1024 }; /* of one process, that wait at a time */

/* Before the jail. */
void from_delivery_init(struct loop *l);
/* The next hops from now on. Keeps a reference. */
void from_delivery_set_config(struct config *c);
/* A channel to a delivery process over socket (taken); one there was to the
 * same instance is dead. */
struct channel *from_delivery_add(uint16_t instance, int socket);
/* Connections that were handed over; that were refused. */
uint64_t from_delivery_dialed(void);
uint64_t from_delivery_refused(void);

#endif
