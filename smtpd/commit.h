/* Hands a mail to the queue; 250 only after the queue's answer. */
#ifndef POSTERN_SMTPD_COMMIT_H
#define POSTERN_SMTPD_COMMIT_H

struct command;

/* The DATA command's session has a transaction and a finished body. The
 * command is answered later (command_done), also when there is no queue. */
void commit_begin(struct command *c);

#endif
