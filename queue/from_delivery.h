/* queue_delivery, the queue's end: delivery and maildir agents. */
#ifndef POSTERN_QUEUE_FROM_DELIVERY_H
#define POSTERN_QUEUE_FROM_DELIVERY_H

#include <stdint.h>

#include "edges/edges.h"
#include "lib/ipc/channel.h"

struct queue;

/* A channel to an agent; a former one to the same role and instance is
 * dead. Nothing is taken from it before the queue has started. */
struct channel *from_delivery_add(
    struct queue *q, enum role role, uint16_t instance, int socket);
void from_delivery_resume(struct queue *q);

#endif
