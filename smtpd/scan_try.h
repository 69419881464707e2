/* `test milter': one filter is shown a mail that an administrator gave, which
 * goes nowhere. */
#ifndef POSTERN_SMTPD_SCAN_TRY_H
#define POSTERN_SMTPD_SCAN_TRY_H

#include "edges/control_all.h"
#include "lib/base/buf.h"
#include "lib/base/loop.h"

enum { TRY_MAIL_MAX = 16777216, TRIES_AT_ONCE = 4 };

/* Answers question id on ch, at once or later. mail: taken, empty
 * afterwards. */
void scan_try(struct loop *l, struct channel *ch,
    const struct ask_test_milter *m, uint64_t id, struct buf *mail);
/* The channel takes more again. */
void scan_try_go_on(void);
/* The channel is gone. */
void scan_try_lost(void);

#endif
