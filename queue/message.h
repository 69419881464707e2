/* `show message`, `show headers`: a message's content. */
#ifndef POSTERN_QUEUE_MESSAGE_H
#define POSTERN_QUEUE_MESSAGE_H

#include "queue/from_control.h"

void message_start(
    struct control_peer *p, uint64_t id, const struct ask_content *ask);

#endif
