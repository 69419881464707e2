/*
 * Who talks before the greeting: a client that does mail waits for it (RFC
 * 5321 4.3.1), one that only sends spam often does not. Held back for a while
 * (`greet-delay'), the greeting shows which it is.
 */
#ifndef POSTERN_SMTPD_GREETING_H
#define POSTERN_SMTPD_GREETING_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"

struct session;

#define GREETING_EARLY_REPLY "554 5.5.1 The server speaks first"

/* Has it talked, and is to be refused for it? Where such clients are only
 * flagged it is flagged, and false. */
bool greeting_is_disturbed(struct session *s);
/* Waits with the greeting (SESSION_GREETING), opening_next is called then.
 * False: not for this client. */
bool greeting_hold_back(struct session *s);
/* For the table of states. */
size_t greeting_input(struct session *s, struct str in);
void greeting_timeout(struct session *s);

#endif
