/* `trace ID': the life of a mail. */
#ifndef POSTERN_QUEUE_TRACING_H
#define POSTERN_QUEUE_TRACING_H

#include "queue/from_control.h"

void tracing_start(
    struct control_peer *p, uint64_t id, const struct ask_trace *ask);

#endif
