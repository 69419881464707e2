/* The encodings under names (RFC 2047, 2231). */
#ifndef POSTERN_MILTERS_RULES_MIME_WORD_H
#define POSTERN_MILTERS_RULES_MIME_WORD_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

/* ASCII stands in it as ASCII. */
bool mime_is_ascii_set(struct str set);
/* %XX or =XX by sign (with = also _ for a blank). False: one was broken. */
bool mime_decode_hex(struct str in, char sign, struct buf *out);

#endif
