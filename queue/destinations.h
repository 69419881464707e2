/* `show destinations`: a row for each. */
#ifndef POSTERN_QUEUE_DESTINATIONS_H
#define POSTERN_QUEUE_DESTINATIONS_H

#include "queue/from_control.h"

void destinations_start(struct control_peer *p, uint64_t id);

#endif
