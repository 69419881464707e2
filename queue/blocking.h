/* block, allow, unblock, show blocks. */
#ifndef POSTERN_QUEUE_BLOCKING_H
#define POSTERN_QUEUE_BLOCKING_H

#include "queue/from_control.h"

void blocking_block(
    struct control_peer *p, uint64_t id, const struct ask_block *m);
void blocking_unblock(
    struct control_peer *p, uint64_t id, const struct ask_unblock *m);
void blocking_list(struct control_peer *p, uint64_t id);

#endif
