/* fetch_resolver, the resolver's end. */
#ifndef POSTERN_RESOLVER_FROM_FETCH_H
#define POSTERN_RESOLVER_FROM_FETCH_H

#include <stdint.h>

#include "lib/ipc/channel.h"

struct channel *from_fetch_add(uint16_t instance, int socket);

#endif
