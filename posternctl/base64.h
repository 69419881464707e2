/* Bytes as base64 (RFC 4648 4), as they come. */
#ifndef POSTERN_POSTERNCTL_BASE64_H
#define POSTERN_POSTERNCTL_BASE64_H

#include "lib/base/buf.h"

/* Appends s to out; what makes no whole group yet waits in held. */
void base64_add(struct buf *out, struct buf *held, struct str s);
/* The rest. */
void base64_end(struct buf *out, struct buf *held);

#endif
