/* The words for the states of messages and recipients. */
#ifndef POSTERN_POSTERNCTL_NAMES_H
#define POSTERN_POSTERNCTL_NAMES_H

#include <stdint.h>

/* Of enum message_state, enum rcpt_state. */
const char *name_message_state(uint8_t state);
const char *name_rcpt_state(uint8_t state);

#endif
