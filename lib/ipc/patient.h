/*
 * Questions to a peer that may die: each is asked again of its successor, and
 * given up when it was asked too often or waited too long. Embedded in what
 * the user asks; nothing here is allocated.
 */
#ifndef POSTERN_IPC_PATIENT_H
#define POSTERN_IPC_PATIENT_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/base/tree.h"
#include "lib/ipc/channel.h"

struct patient_question {
	TAILQ_ENTRY(patient_question) entry;
	RB_ENTRY(patient_question) by_id;
	uint64_t id;      /* of the channel; 0: the next one's turn */
	uint64_t late_ms; /* then it is given up; 0: it is not asked */
	unsigned int ntries;
};

struct patient_ops {
	const char *peer; /* for the log */
	unsigned int tries_max;
	/* Says it, and returns its id. */
	uint64_t (*ask)(struct patient_question *q, struct channel *ch);
	/* Its channel ended; what was heard so far is not to count. NULL:
	 * nothing is heard before the answer. */
	void (*on_again)(struct patient_question *q);
	/* It was given up, and is not asked any more. */
	void (*on_unanswered)(struct patient_question *q);
};

/* One peer and what it was asked. Made of PATIENT_INIT; patient_init before
 * the first question. */
struct patient {
	const struct patient_ops *ops;
	struct loop *loop;
	struct channel *ch; /* NULL: none now */
	struct timer *timer;
	uint64_t patience_ms;
	/* Without an answer, the oldest first; and those on this channel. */
	TAILQ_HEAD(patient_list, patient_question) all;
	RB_HEAD(patient_tree, patient_question) asked;
};

#define PATIENT_INIT(p, patient_ops)                                          \
	{                                                                     \
		.ops = (patient_ops), .all = TAILQ_HEAD_INITIALIZER((p).all), \
		.asked = RB_INITIALIZER(&(p).asked),                          \
	}

void patient_init(struct patient *p, struct loop *l, uint64_t patience_ms);
/* q stays where it is until it is answered, given up or cancelled; in the
 * meantime there need be no peer. */
void patient_ask(struct patient *p, struct patient_question *q);
/* Nothing is heard of it any more. One that is not asked is let be. */
void patient_cancel(struct patient *p, struct patient_question *q);
/* For the channel's callback: q was answered, and is not asked any more; or
 * its channel ended (fault). */
void patient_answered(struct patient *p, struct patient_question *q);
void patient_lost(struct patient *p, struct patient_question *q);
/* The question with this id on ch; NULL: none of ours. */
struct patient_question *patient_find(
    const struct patient *p, const struct channel *ch, uint64_t id);
/* Another peer, in the place of the one there was: it is asked all there is.
 * The channel is taken. */
void patient_open(struct patient *p, struct channel *ch);
/* The peer is gone. */
void patient_close(struct patient *p);

#endif
