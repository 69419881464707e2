/* A person's name in a header (RFC 5322 3.2.5, RFC 2047 5). */
#ifndef POSTERN_SENDMAIL_PHRASE_H
#define POSTERN_SENDMAIL_PHRASE_H

#include "lib/base/buf.h"

/* Appends name as it is, quoted, or in encoded words (folded), whatever it
 * takes. What is not UTF-8 is taken for ISO-8859-1; controls are blanks. */
void phrase_add(struct buf *out, struct str name);

#endif
