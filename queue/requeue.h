/* requeue: the rules decide again where a recipient's mail goes. */
#ifndef POSTERN_QUEUE_REQUEUE_H
#define POSTERN_QUEUE_REQUEUE_H

#include <stdbool.h>

#include "queue/index.h"

struct queue;

/* r is open and nowhere: gets the action that the rules give it now. False:
 * they refuse it, or set it aside, and so it is. */
bool requeue_reroute(struct queue *q, struct rcpt *r);
/* r is open and nowhere: gets the action that the rules give it now and is
 * sent, whatever its destination's back-off; held when they refuse it. */
void requeue_rcpt(struct queue *q, struct rcpt *r);
/* Adds to what the store is to know of r: an action that its mail record does
 * not have, also one that was only wished for yet. */
void requeue_describe(
    const struct queue *q, struct rcpt *r, struct state_rcpt *out);

#endif
