/*
 * How many messages may be at filters at once, in this process. When filters
 * become slow fewer may, and newcomers are turned away at the door instead of
 * waiting inside; sources that had mail accepted lately, and our own, have a
 * reserve.
 *
 * A message counts from MAIL to its end. The capacity begins at its most,
 * shrinks while the smoothed time filters take for content is over the
 * limit, and grows by one with each good answer.
 */
#ifndef POSTERN_SMTPD_ADMISSION_H
#define POSTERN_SMTPD_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/net/addr.h"
#include "lib/rules/config.h"

struct admission {
	uint64_t most, least; /* bounds of the capacity */
	uint64_t slow_us;     /* content takes too long from here on */
	uint64_t capacity;
	uint64_t now;         /* messages under way */
	uint64_t smoothed_us; /* of content; 0: none yet */
	uint64_t shrunk_ms;   /* when it shrank last */
	uint64_t nrefused;    /* since it is full */
	uint64_t said_ms;     /* when the log heard of it last */
	bool full;            /* somebody was turned away, and none let in
			       * without reserve since */
	bool said;            /* the log heard that it is full */
};

/* most: messages at once; slow_ms: of content. What is under way stays
 * counted. */
void admission_set(struct admission *a, uint64_t most, uint64_t slow_ms);
/* May one more begin? reserve: it comes from somebody known. */
bool admission_has_room(const struct admission *a, bool reserve);
/* One more begins. 0, or -1: there was no room, nothing is counted. */
int admission_enter(struct admission *a, bool reserve, uint64_t now_ms);
void admission_leave(struct admission *a);
/* Somebody was turned away who did not ask to enter. */
void admission_refused(struct admission *a, uint64_t now_ms);
/* Filters took so long for the content of one message. */
void admission_took(struct admission *a, uint64_t us, uint64_t now_ms);

/* --- of this process --- */
struct admission *admission(void);
/* From the configuration: limits divided by the number of workers. */
void admission_set_config(const struct config *c);
/* Mail from there was accepted. */
void admission_remember(const struct addr *source);
/* Had it mail accepted lately, or is it one of ours? */
bool admission_is_known(const struct addr *source);
/* For tests: as at the start. */
void admission_clear(void);

#endif
