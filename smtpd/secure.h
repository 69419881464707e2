/*
 * TLS of sessions: the listeners' certificates, the handshake, what is known
 * of it afterwards.
 */
#ifndef POSTERN_SMTPD_SECURE_H
#define POSTERN_SMTPD_SECURE_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/fault.h"
#include "lib/rules/config.h"

struct facts;
struct session;

/* The listeners' contexts are made anew; connections keep theirs. NULL: there
 * are none any more. */
void secure_set_config(struct config *c);
/* May STARTTLS be said now: there is a pki, and it was not said yet? */
bool secure_is_offered(const struct session *s);
/* TLS holds on this connection. */
bool secure_is_on(const struct session *s);
/* A handshake cannot begin now, because (a word for the log); NULL: it can.
 * Too many are half done, or nobody is there who signs. */
const char *secure_obstacle(const struct session *s);
/* Begins the handshake: SESSION_HANDSHAKE. After it (STARTTLS) the session is
 * as new, or (smtps) opening_next is called. NULL, or why nothing has
 * begun. */
const char *secure_start(struct session *s);
/* The session goes, or the handshake is over. */
void secure_handshake_over(struct session *s);
/* For stream_ops.on_secure and the table of states. */
void secure_done(struct session *s, const struct fault *why);
void secure_timeout(struct session *s);

/* What filters are told of it; nothing without TLS. */
void secure_learn(const struct session *s, struct facts *f);
/* Appends "(version=TLSv1.3 cipher=... bits=256)"; nothing without TLS. */
void secure_format(const struct session *s, struct buf *out);

#endif
