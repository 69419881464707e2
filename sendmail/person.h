/* Who calls, as this machine knows him. */
#ifndef POSTERN_SENDMAIL_PERSON_H
#define POSTERN_SENDMAIL_PERSON_H

#include "lib/base/buf.h"

/* Appends the login name; "uid-1000" when there is none that is an
 * address. */
void person_login(struct buf *out);
/* Appends the full name, which may be nothing: given (NULL: not given), what
 * NAME says, or what the machine knows. */
void person_name(const char *given, struct buf *out);

#endif
