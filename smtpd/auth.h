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
#include "smtpd/command.h"

struct auth;
struct auth_mech;
struct session;

/* Of the command or of one line of the exchange (RFC 4954 4). */
enum { AUTH_LINE_MAX = 12288 };

/* In the place of a secret. */
#define AUTH_MASK "***"

#define AUTH_LIMITED_REPLY "454 4.7.0 Too many failures, try again later"

/* May AUTH be said now? */
bool auth_is_offered(const struct session *s);
/* "PLAIN LOGIN SCRAM-SHA-256", as far as offered; for EHLO. */
void auth_mechanisms(const struct session *s, struct buf *out);
/* NULL: it is not offered here. */
const struct auth_mech *auth_find_mech(
    const struct session *s, struct str name);

/* What may be shown of AUTH's argument: the mechanism; AUTH_MASK when that is
 * none that anybody knows, for it may be a secret that went astray. */
struct str auth_shown(struct str args);
/* Where in this text the first word stands that announces a secret, in AUTH or
 * in what is mistaken for it (PASS, LOGIN): its length when none does. */
size_t auth_find_hint(struct str text);

/* --- the command in progress is AUTH --- */

/* It begins; s->auth is there. */
void auth_begin(struct session *s, const struct auth_mech *m);
/* 334: the client's line is awaited. Returns STAGE_WAITING. */
enum stage auth_challenge(struct session *s);
/* A line (in base64); followed: more came right behind it. STAGE_WAITING, or
 * the command was answered and the exchange is over. */
enum stage auth_take(struct session *s, struct str line, bool followed);
/* For the table of states: SESSION_AUTH, SESSION_VAULT. */
size_t auth_input(struct session *s, struct str in);
void auth_timeout(struct session *s);
void auth_vault_timeout(struct session *s);
/* Clears the pointer; NULL is allowed; nobody is waited for any more, and who
 * goes before the answer has failed. */
void auth_free(struct auth **a);
/* It is this user, by this mechanism; until then it was nobody. In lower case,
 * so that one user is one for all who count him. */
void auth_accept(struct session *s, const char *user, const char *mech);
/* Whoever it was, it is forgotten (after STARTTLS, XCLIENT). */
void auth_forget(struct session *s);

#endif
