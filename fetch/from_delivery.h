/* What agents want to know: the policy of a domain. */
#ifndef POSTERN_FETCH_FROM_DELIVERY_H
#define POSTERN_FETCH_FROM_DELIVERY_H

#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/ipc/channel.h"

/* Questions of one agent under way; what comes on top gets a fault at once. */
enum { AGENT_QUESTIONS_MAX = 10000 };

void from_delivery_init(struct loop *l);
/* A socket to an agent; the one before is dead. */
struct channel *from_delivery_add(uint16_t instance, int socket);

#endif
