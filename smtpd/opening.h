/*
 * From accept to the greeting, step by step (a table): the PROXY header, who
 * may come in at all, TLS of smtps, who calls, the greeting held back.
 */
#ifndef POSTERN_SMTPD_OPENING_H
#define POSTERN_SMTPD_OPENING_H

struct session;

/* The session was just made. Goes as far as it can. */
void opening_start(struct session *s);
/* What the present step waited for is there: on with the next. */
void opening_next(struct session *s);
/* XCLIENT made it somebody else's: once more, but for what belongs to the
 * connection. The greeting is the reply. */
void opening_again(struct session *s);

#endif
