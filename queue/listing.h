/* `show queue`: rows of messages and recipients. */
#ifndef POSTERN_QUEUE_LISTING_H
#define POSTERN_QUEUE_LISTING_H

#include "queue/from_control.h"

/* Takes what is in the filter (which is empty then). */
void listing_start(struct control_peer *p, uint64_t id, struct filter *f);

#endif
