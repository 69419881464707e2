/* All sessions of this process, and their common end. */
#ifndef POSTERN_SMTPD_SESSIONS_H
#define POSTERN_SMTPD_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

#define SESSIONS_STOPPING_REPLY "421 4.3.2 Shutting down, try again later"
#define SESSIONS_PAUSED_REPLY   "421 4.3.2 Not taking mail now, try again later"

/* A session is one of them from its beginning until it is freed. */
void sessions_add(struct session *s);
void sessions_del(struct session *s);
/* No new work: idle sessions end with 421, others after their transaction;
 * fn is called when the last is gone (also when there is none now). */
void sessions_stop(void (*fn)(void));
bool sessions_are_stopping(void);
/* The administrator lets nobody in, or does again: idle sessions end with 421,
 * others after their transaction. */
void sessions_pause(bool on);
bool sessions_are_paused(void);
/* What a session that is at no transaction ends with: stopping, or paused. The
 * reply, with why for the log; NULL: it goes on. */
const char *sessions_last_word(const char **why);
/* Nothing changes for them, but there will be no more of them; fn as above. */
void sessions_retire(void (*fn)(void));
/* Time is up: 421 to all that are left, whatever they are at. */
void sessions_abandon(void);
size_t sessions_count(void);
/* The serial number of the youngest there ever was. */
uint64_t sessions_last_serial(void);
/* fn for each that is not gone; it ends none. */
void sessions_each(void (*fn)(void *ctx, const struct session *s), void *ctx);
/* For tests: as if never stopped, nor paused. */
void sessions_restart(void);

#endif
