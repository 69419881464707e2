/* UTF-8 (RFC 3629). */
#ifndef POSTERN_BASE_UTF8_H
#define POSTERN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"

/* Length in bytes (1-4) of the well-formed character at the start of s, 0
 * when there is none (overlong, surrogate, cut off, empty). */
size_t utf8_char(struct str s);
bool utf8_is_valid(struct str s);

#endif
