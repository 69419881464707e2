/*
 * What a client of ours that has authenticated leaves to its server: Date and
 * Message-ID when they are missing, no Bcc, and an empty line behind the header
 * (RFC 6409 8).
 */
#ifndef POSTERN_SMTPD_SUBMISSION_H
#define POSTERN_SMTPD_SUBMISSION_H

struct session;

/* Its content is about to come in. */
void submission_begin(struct session *s);
/* After body_finish, before our Received goes on top; nothing for others. */
void submission_fix(struct session *s);

#endif
