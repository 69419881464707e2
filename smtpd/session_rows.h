/* `show sessions': a row for each, as fast as control takes them. */
#ifndef POSTERN_SMTPD_SESSION_ROWS_H
#define POSTERN_SMTPD_SESSION_ROWS_H

#include <stdint.h>

struct channel;
struct session;

/* Answers question id. */
void session_rows_start(struct channel *ch, uint64_t id);
/* There is room in the channel again. */
void session_rows_go_on(void);
/* The channel is gone, and who asked. */
void session_rows_lost(void);
/* This one, as a row of the answer to question id. */
void session_rows_tell(
    struct channel *ch, uint64_t id, const struct session *s);

#endif
