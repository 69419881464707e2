/* Domain names in other scripts (IDNA2008, mapped as by UTS #46). */
#ifndef POSTERN_MAIL_IDNA_H
#define POSTERN_MAIL_IDNA_H

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/mail/path.h"

/* Appends the domain in A-labels and lower case: the one form in which names
 * are kept and compared. One that is ASCII already is not looked into, also
 * not its A-labels. Returns 0; -1, and nothing is added, when it has no such
 * form. */
int idna_to_ascii(struct str domain, struct buf *out);
/* The same for the domain of p, which is a view of room then (that was
 * initialised with PATH_DOMAIN_MAX or more, and is empty); ASCII is left as
 * it is. */
int idna_path(struct path *p, struct buf *room);

#endif
