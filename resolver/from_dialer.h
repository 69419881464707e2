/* dialer_resolver, the resolver's end. */
#ifndef POSTERN_RESOLVER_FROM_DIALER_H
#define POSTERN_RESOLVER_FROM_DIALER_H

#include <stdint.h>

#include "lib/ipc/channel.h"

struct channel *from_dialer_add(uint16_t instance, int socket);

#endif
