/* The trace field that goes on top of each mail (RFC 5321 4.4). */
#ifndef POSTERN_SMTPD_RECEIVED_H
#define POSTERN_SMTPD_RECEIVED_H

#include "lib/base/buf.h"

struct session;

enum { RECEIVED_MAX = 4096 }; /* more than its parts can make */

/* For the open transaction of s, with its CRLF. */
void received_format(const struct session *s, struct buf *out);

#endif
