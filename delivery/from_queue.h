/* What the queue says to us. */
#ifndef POSTERN_DELIVERY_FROM_QUEUE_H
#define POSTERN_DELIVERY_FROM_QUEUE_H

#include "edges/queue_delivery.h"
#include "lib/base/loop.h"
#include "lib/ipc/channel.h"

/* A socket to the queue; the one before is dead. */
struct channel *from_queue_open(struct loop *l, int socket);
/* Ends the channel, and what came over it. */
void from_queue_close(void);
/* 0, or -1: there is no queue, or it has enough to read. */
int from_queue_tell_tally(const struct tell_tls_tally *m);
/* Begin to ask for work. */
void from_queue_go(void);
/* Takes nothing new. */
void from_queue_stop(void);
/* The last word, before the process ends: what was begun has been told. */
void from_queue_leave(void);

#endif
