/* Command lines as they come in, and those who speak something else. */
#ifndef POSTERN_SMTPD_LINE_INPUT_H
#define POSTERN_SMTPD_LINE_INPUT_H

#include <stddef.h>

#include "lib/base/str.h"

struct session;

/* Input in SESSION_COMMAND and in SESSION_SKIP (the line was too long: its
 * end is looked for, nothing is kept). Return the bytes consumed. */
size_t line_input(struct session *s, struct str in);
size_t line_skip(struct session *s, struct str in);
/* It is nobody we talk to: logged, counted, and the session ends; reply NULL:
 * without a word. */
void line_end_early(struct session *s, const char *why, const char *reply);

#endif
