/* smtpd_resolver, the resolver's end. */
#ifndef POSTERN_RESOLVER_FROM_SMTPD_H
#define POSTERN_RESOLVER_FROM_SMTPD_H

#include <stdint.h>

#include "lib/ipc/channel.h"

struct channel *from_smtpd_add(uint16_t instance, int socket);

#endif
