/*
 * Who looks on while sessions go their way (`log session'): each line of the
 * clients of a network is told as it comes. Who does not read loses lines and
 * hears how many; no session waits for him.
 */
#ifndef POSTERN_SMTPD_FOLLOW_H
#define POSTERN_SMTPD_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "edges/control_all.h"

struct session;

enum { FOLLOWERS_MAX = 64 };

/* Question id: begins, or refuses it. */
void follow_start(struct channel *ch, uint64_t id, const struct ask_follow *m);
/* Whoever asked it has had enough. */
void follow_stop(uint64_t id);
bool follow_is_on(void);
/* One line, as it is recorded. */
void follow_line(const struct session *s, enum line_way way, struct str text);
/* There is room in the channel again. */
void follow_go_on(void);
/* The channel is gone, and who asked. */
void follow_lost(void);

#endif
