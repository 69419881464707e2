/*
 * Who may not come in, or always may: `allow from', `deny from' of the
 * configuration and the administrator's entries, which the queue keeps.
 */
#ifndef POSTERN_SMTPD_BLOCKS_H
#define POSTERN_SMTPD_BLOCKS_H

#include "edges/smtpd_queue.h"
#include "lib/net/addr.h"
#include "lib/rules/config.h"

enum blocks_verdict { BLOCKS_NOTHING, BLOCKS_ALLOW, BLOCKS_DENY };

/* The longest network decides; of two equal ones the administrator's. reply:
 * of BLOCKS_DENY, a whole one; why: for the log. Both live until the next
 * call. */
enum blocks_verdict blocks_find(const struct config *c,
    const struct addr *client, const char **reply, const char **why);
/* A new list begins, of count entries; it holds when all are there. What is
 * added behind them is a change of it. */
void blocks_begin(uint32_t count);
void blocks_add(const struct tell_block *m);
/* None is held. */
void blocks_clear(void);

#endif
