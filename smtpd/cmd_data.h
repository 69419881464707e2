/* The long life of a DATA command: 354, content, commit, one last reply. */
#ifndef POSTERN_SMTPD_CMD_DATA_H
#define POSTERN_SMTPD_CMD_DATA_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"
#include "smtpd/body.h"
#include "smtpd/command.h"

struct session;

/* Content; of the session in SESSION_BODY. Returns the bytes consumed. */
size_t data_input(struct session *s, struct str in);
void data_timeout(struct session *s);
/* The body of the transaction begins: its limits, where its file goes. */
void data_begin(struct session *s);
/* Until when the next content has to come. */
void data_await(struct session *s);
/* Content that waited comes in; the end of it all may have come, too. */
void data_read_on(struct session *s);
/* Needs the memory a file first? Then bdat_go_on, or the end, comes later. */
bool data_waits_for_file(struct session *s);
/* All content is there: to the filters and to the queue. */
void data_end(struct session *s);
/* What is wrong with it answers the command. */
enum stage data_refuse(struct command *c, enum body_fault fault);
/* The client sends far more than it may, and is not listened to any more. */
bool data_is_beyond(const struct body *b);
/* The filters have judged the content of the present body. */
void data_filtered(struct command *c);
/* The command has its last reply: the transaction is over. */
void data_answered(struct command *c);

#endif
