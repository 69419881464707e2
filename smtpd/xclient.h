/*
 * XCLIENT, as Postfix has it (XCLIENT_README): a gateway in front of us, or a
 * test, says whose session it speaks for. The session begins anew then, with
 * a greeting, as if that client had connected.
 */
#ifndef POSTERN_SMTPD_XCLIENT_H
#define POSTERN_SMTPD_XCLIENT_H

#include <stdbool.h>

struct session;

/* For EHLO. */
#define XCLIENT_WORDS "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"

/* May whoever is at the other end of the connection say it? */
bool xclient_is_allowed(const struct session *s);

#endif
