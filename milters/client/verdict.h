/* The text of a filter's reply code (SMFIR_REPLYCODE): nothing of it reaches a
 * client unchecked. */
#ifndef POSTERN_MILTERS_CLIENT_VERDICT_H
#define POSTERN_MILTERS_CLIENT_VERDICT_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "milters/client/milter.h"

/* payload: of the packet, with its NUL. Writes the reply to out, lines joined
 * by CRLF, each with the code, an enhanced code and cleaned text; and its
 * meaning (TEMPFAIL, REJECT, or SHUTDOWN for 421) to *verdict. Returns 0, or
 * -1 when it is no such reply. */
int verdict_parse(struct str payload, bool utf8, struct buf *out,
    enum milter_verdict *verdict);
/* "550 5.7.1 Command rejected" and the like; NULL for those that are none. */
const char *verdict_default(enum milter_verdict v);

#endif
