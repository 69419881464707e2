/*
 * What recipients were before an administrator's change, as long as that can
 * be taken back: a note for each of such a message, in memory and in the
 * records of their states.
 */
#ifndef POSTERN_QUEUE_UNDO_H
#define POSTERN_QUEUE_UNDO_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/index.h"
#include "queue/store.h"

struct queue;

struct undo_note {
	uint64_t operation; /* 0: nothing to take back */
	uint64_t next_ms;   /* as in the record of what it was */
	uint8_t was;        /* STATE_RCPT_, with its flags */
};

/* r is about to be changed by this operation: what it is now is kept; or
 * nothing is, if it is not of a kind that can be undone. */
void undo_keep(struct queue *q, struct rcpt *r, uint64_t operation);
/* Was it this operation that made r what it is? */
bool undo_is_by(const struct rcpt *r, uint64_t operation);
/* Can r still be had back? */
bool undo_is_kept(struct queue *q, struct rcpt *r);
/* Takes back what the note of r tells of: r goes on as it was; or, dry, says
 * whether it would. False: it is not any more what the operation made of it. */
bool undo_take_back(struct queue *q, struct rcpt *r, bool dry);

/* The note of r to a record of its state, and from it. */
void undo_describe(struct queue *q, struct rcpt *r, struct state_rcpt *out);
void undo_read(struct rcpt *r, const struct state_rcpt *s);

/* How long a message with nothing left to do is kept from now on. */
uint64_t undo_keep_ms(struct queue *q, struct entry *e);
/* Another configuration: what is kept may go sooner, or later. */
void undo_set_config(struct queue *q);

#endif
