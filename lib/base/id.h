/* Message and session ids. */
#ifndef POSTERN_BASE_ID_H
#define POSTERN_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/str.h"

enum { ID_LEN = 16 };

/* A new message id: 16 characters of 0-9A-Za-z, nine of wall milliseconds
 * (so that ids sort by time), seven random; terminated. */
void id_new(uint64_t wall_ms, char out[static ID_LEN + 1]);
bool id_is_valid(struct str s);

#endif
