/* undo; show operations. */
#ifndef POSTERN_QUEUE_UNDO_QUESTION_H
#define POSTERN_QUEUE_UNDO_QUESTION_H

#include "queue/from_control.h"

void undo_question(
    struct control_peer *p, uint64_t id, const struct ask_undo *m);
void undo_question_list(struct control_peer *p, uint64_t id);

#endif
