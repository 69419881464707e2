/* flush, hold, release, requeue, remove. */
#ifndef POSTERN_QUEUE_CHANGE_H
#define POSTERN_QUEUE_CHANGE_H

#include "queue/from_control.h"

/* Takes what is in the filter (which is empty then). */
void change_start(struct control_peer *p, uint64_t id,
    const struct ask_change *m, struct filter *f);

#endif
