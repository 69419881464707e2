/* One mail into one Maildir. */
#ifndef POSTERN_MAILDIR_MAILDIR_H
#define POSTERN_MAILDIR_MAILDIR_H

#include "delivery/agents/mail_text.h"

/* Writes the mail below dir: tmp/NAME, synced, renamed into new, that
 * synced; makes dir's tmp, new and cur as needed. NAME has our hostname in it.
 * Returns 0, or -1 with errno, and nothing is in new; what was in tmp is
 * gone. */
int maildir_write(int dir, const char *hostname, struct mail_text *text);

#endif
