/* pause, resume; what is paused. */
#ifndef POSTERN_QUEUE_PAUSE_QUESTION_H
#define POSTERN_QUEUE_PAUSE_QUESTION_H

#include "queue/from_control.h"

void pause_question(
    struct control_peer *p, uint64_t id, const struct ask_pause *m);
void pause_question_list(struct control_peer *p, uint64_t id);

#endif
