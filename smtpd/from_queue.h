/*
 * The channel to the queue: whether there is one, whether new mail may be
 * taken, who waits for room in it.
 */
#ifndef POSTERN_SMTPD_FROM_QUEUE_H
#define POSTERN_SMTPD_FROM_QUEUE_H

#include <stdint.h>

#include "lib/base/loop.h"
#include "smtpd/command.h"

struct channel;

/* A channel over fd (taken); the one before is dead. */
struct channel *from_queue_start(struct loop *l, int fd);
/* The next queue takes over from the present one in order: the next channel
 * is to it. What was asked before is still answered by the present one; behind
 * that, when both is done, fn. */
void from_queue_hand_over(void (*fn)(void));
/* Since the channel with this number each was handed over to the next. */
uint64_t from_queue_unbroken(void);
/* Closes it: whoever asked is answered with a fault. */
void from_queue_stop(void);
/* NULL while there is none. */
struct channel *from_queue_channel(void);
/* Counts channels: what belongs to an earlier one is void. */
uint64_t from_queue_generation(void);
/* Can mail be taken now? Refuses it otherwise, or lets it wait until there is
 * room, or no channel any more. */
enum stage from_queue_check(struct command *c);

#endif
