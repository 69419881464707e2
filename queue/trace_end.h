/*
 * How mail ended that is not here any more: a few events for each, in a ring
 * of their own, which holds the last TRACE_ENDS of them whatever they say.
 */
#ifndef POSTERN_QUEUE_TRACE_END_H
#define POSTERN_QUEUE_TRACE_END_H

#include "queue/index.h"

enum {
	TRACE_ENDS = 10000,
	TRACE_END_MAX = 1600,  /* bytes of one mail's */
	TRACE_END_PLACES = 16, /* events of one mail, at most */
	/* What is not used at the ring's end is less than a mail's. */
	TRACE_ENDS_BYTES = (TRACE_ENDS + 1) * TRACE_END_MAX
};

struct queue;

/* e is about to be forgotten. */
void trace_end(struct queue *q, struct entry *e);

#endif
