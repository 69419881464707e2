/* What went wrong, for people and for programs. */
#ifndef POSTERN_SENDMAIL_COMPLAINT_H
#define POSTERN_SENDMAIL_COMPLAINT_H

#include "submit/hand_in.h"

/* "sendmail: ..." on stderr, by the name it was called; nothing of it steers
 * a terminal. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Says why the mail is not in; which of sysexits.h it is. */
int complain_refused(const struct handing *h);

#endif
