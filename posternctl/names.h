/* The words for states, and for what filters do. */
#ifndef POSTERN_POSTERNCTL_NAMES_H
#define POSTERN_POSTERNCTL_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "edges/control_all.h"
#include "lib/base/buf.h"

/* Of enum message_state. */
const char *name_message_state(uint8_t state);
/* What stands still: "smtp", "delivery", "domain example.net". */
void name_pause(struct buf *out, const struct row_pause *row);
/* Of a filter or its socket, and by their places in a row_milter. */
const char *name_milter_state(uint8_t state);
const char *name_milter_stage(size_t stage);
const char *name_milter_verdict(size_t verdict);

#endif
