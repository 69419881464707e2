/* Hands a mail to the queue; 250 only after the queue's answer. */
#ifndef POSTERN_SMTPD_COMMIT_H
#define POSTERN_SMTPD_COMMIT_H

struct command;

/* The DATA command's session has a transaction and a finished body. The
 * command is answered later (command_done), also when there is no queue. */
void commit_begin(struct command *c);
/* Asks for a file for the body; data_file_done is called with the outcome. */
void commit_ask_file(struct command *c);

#endif
