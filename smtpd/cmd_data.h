/* The long life of a DATA command: 354, content, commit, one last reply. */
#ifndef POSTERN_SMTPD_CMD_DATA_H
#define POSTERN_SMTPD_CMD_DATA_H

#include <stddef.h>

#include "lib/base/str.h"

struct command;
struct session;

/* Content; of the session in SESSION_BODY. Returns the bytes consumed. */
size_t data_input(struct session *s, struct str in);
void data_timeout(struct session *s);
/* The filters have judged the content of the present body. */
void data_filtered(struct command *c);
/* The command has its last reply: the transaction is over. */
void data_answered(struct command *c);

#endif
