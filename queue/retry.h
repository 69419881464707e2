/*
 * The retry list: recipients (and messages kept for undo) that are due at a
 * time to come. Times in memory are monotonic, so that a jump of the wall
 * clock neither fires nor freezes anything.
 */
#ifndef POSTERN_QUEUE_RETRY_H
#define POSTERN_QUEUE_RETRY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/rules/config.h"
#include "queue/index.h"

struct retry {
	struct rcpt **heap; /* owned; the soonest first */
	size_t count, cap;
};

void retry_init(struct retry *t);
void retry_clear(struct retry *t);
/* r is nowhere else; from now on PLACE_RETRY. */
void retry_add(struct retry *t, struct rcpt *r, uint64_t due_ms);
void retry_del(struct retry *t, struct rcpt *r);
/* The soonest, or NULL when there is none. */
struct rcpt *retry_first(const struct retry *t);

/* How long to wait after this many attempts: the configured step and up to a
 * fifth more, chosen by `chance` (any number). Never less: who is greylisted
 * for five minutes comes back after five. Milliseconds. */
uint64_t retry_delay(
    const struct queue_settings *q, uint32_t attempts, uint32_t chance);
/* The same after an attempt whose end was not heard: the mail may be there,
 * and its receiver still busy with it. */
uint64_t retry_delay_unheard(
    const struct queue_settings *q, uint32_t attempts, uint32_t chance);
/* The longest of all: no time to come may be further. */
uint64_t retry_longest(const struct queue_settings *q);
/* A stored wall time as a delay from now: past is 0, further away than the
 * longest step (the clock jumped) is that step. */
uint64_t retry_clamp(
    const struct queue_settings *q, uint64_t next_wall_ms, uint64_t wall_ms);

#endif
