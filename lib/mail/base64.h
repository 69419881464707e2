/* Base64 (RFC 4648 4), strict: whole quanta, padding in its place, no other
 * characters, no bits left over. */
#ifndef POSTERN_MAIL_BASE64_H
#define POSTERN_MAIL_BASE64_H

#include "lib/base/buf.h"
#include "lib/base/str.h"

/* Appends; what does not fit is the buffer's failure. */
void base64_encode(struct str in, struct buf *out);
/* Appends what it means. 0, or -1: it is not base64, or does not fit (out may
 * hold a part then). */
int base64_decode(struct str in, struct buf *out);

#endif
