/* A change that is in force at once, and said to be when it is on disk. */
#ifndef POSTERN_QUEUE_SAVED_H
#define POSTERN_QUEUE_SAVED_H

#include "queue/from_control.h"
#include "queue/side_file.h"

typedef void save_fn(struct queue *q, side_file_fn *fn, void *ctx);

/* Saves, and answers question id then: one was matched, and so many were
 * changed. */
void saved_answer(
    struct control_peer *p, uint64_t id, save_fn *save, uint64_t changed);

#endif
