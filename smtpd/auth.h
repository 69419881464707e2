/*
 * AUTH (RFC 4954): the exchange of one session, from the command over its
 * lines and the vault's answers to 235 or 535.
 */
#ifndef POSTERN_SMTPD_AUTH_H
#define POSTERN_SMTPD_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

struct auth;
struct session;

/* May AUTH be said now? */
bool auth_is_offered(const struct session *s);
/* "PLAIN LOGIN SCRAM-SHA-256", as far as offered; for EHLO. */
void auth_mechanisms(const struct session *s, struct buf *out);
/* For the table of states: SESSION_AUTH. */
size_t auth_input(struct session *s, struct str in);
void auth_timeout(struct session *s);
/* Clears the pointer; NULL is allowed; nobody is waited for any more. */
void auth_free(struct auth **a);
/* Whoever it was, it is forgotten (after STARTTLS, XCLIENT). */
void auth_forget(struct session *s);

#endif
