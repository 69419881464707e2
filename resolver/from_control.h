/* control_all, the resolver's end: numbers, single questions, and where mail
 * would go. */
#ifndef POSTERN_RESOLVER_FROM_CONTROL_H
#define POSTERN_RESOLVER_FROM_CONTROL_H

#include <stdint.h>

#include "edges/control_all.h"

struct channel *from_control_add(uint16_t instance, int socket);
/* The end of question id. */
void from_control_answer(struct channel *ch, uint64_t id, enum answer_code code,
    const char *text, uint64_t matched);

#endif
