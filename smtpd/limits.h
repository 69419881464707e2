/* Who may come in, and what becomes of those who err too often. */
#ifndef POSTERN_SMTPD_LIMITS_H
#define POSTERN_SMTPD_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/net/addr.h"
#include "lib/rules/config.h"

struct session;

/* The counters shared by all workers; fd is taken. 0, or -1 when the mapping
 * is not sound (logged): then nothing is limited across workers. */
int limits_set_sources(uint32_t column, int fd);
/* A connection begins; of trusted ones only the gateway's limit is asked.
 * NULL: come in, *ticket is for limits_leave; else the reply that turns it
 * away and why in one word. */
const char *limits_enter(const struct config *config, const struct addr *client,
    uint32_t listener, bool trusted, uint32_t *ticket, const char **why);
/* limits_enter let it in, and it has ended. */
void limits_leave(uint32_t listener, uint32_t ticket);
/* Connections of the whole gateway. */
uint64_t limits_total(void);
/* Whether limits_leave is due for those let in now. */
bool limits_are_counting(void);

/* This client has failed to authenticate too often, on whatever connections
 * and workers; and once more. */
bool limits_auth_is_over(const struct session *s);
void limits_auth_failed(const struct session *s);

enum penalty { PENALTY_NONE, PENALTY_DELAY, PENALTY_CLOSE };
/* A 5xx was earned: counts it. */
enum penalty limits_error(struct session *s);
/* How long the reply to it waits. */
uint64_t limits_error_delay(const struct session *s);
/* So many octets a mail may have. */
uint64_t limits_message_size(const struct session *s);
/* So many mails may come on one connection. */
uint64_t limits_messages(const struct session *s);
/* A command that does no mail: counts it; true when it was one too many. */
bool limits_junk(struct session *s);

#endif
