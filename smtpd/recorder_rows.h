/* `show session': what is remembered of one. */
#ifndef POSTERN_SMTPD_RECORDER_ROWS_H
#define POSTERN_SMTPD_RECORDER_ROWS_H

#include <stdint.h>

#include "lib/base/str.h"

struct channel;

/* Answers question id, now or when control has room for it. */
void recorder_rows_start(struct channel *ch, uint64_t id, struct str session);
/* There is room in the channel again. */
void recorder_rows_go_on(void);
/* The channel is gone, and who asked. */
void recorder_rows_lost(void);

#endif
