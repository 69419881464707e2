/* The syntax MAIL, RCPT and VRFY share. */
#ifndef POSTERN_SMTPD_SYNTAX_H
#define POSTERN_SMTPD_SYNTAX_H

#include <stdbool.h>

#include "smtpd/command.h"

/* Whether the argument begins with word ("FROM:"), any case; *rest what
 * stands behind it, without the blanks that some clients put there. */
bool syntax_keyword(const struct command *c, struct str word, struct str *rest);
/* The domain of c->path in A-labels. 0, or -1 when it has none. */
int syntax_ascii(struct command *c);
/* A path and its parameters into c->path, c->written and c->params. STAGE_GO,
 * or the refusal was made. flags: of enum path_flags; UTF-8 is taken when the
 * parameters ask for it (MAIL), or left to the caller (RCPT). */
enum stage syntax_path(
    struct command *c, struct str in, unsigned int flags, enum param_verb verb);

#endif
