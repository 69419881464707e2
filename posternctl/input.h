/* Standard input, read to its end. */
#ifndef POSTERN_POSTERNCTL_INPUT_H
#define POSTERN_POSTERNCTL_INPUT_H

#include "lib/base/buf.h"

/* Appends all of it. Returns 0, or -1 when it cannot be read or out takes no
 * more (said on stderr). */
int input_read(struct buf *out);
/* Appends a mail with its line ends made CRLF. */
void input_add_crlf(struct buf *out, struct str mail);

#endif
