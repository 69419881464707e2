/*
 * The housekeeping thread: does what may block for longer than a commit
 * (filling segments, cold reads, unlinking, syncing large files), one job
 * after another. A job owns everything its work touches; it is handed over
 * by a locked list and comes back by another one and an eventfd.
 */
#ifndef POSTERN_QUEUE_HOUSEKEEP_H
#define POSTERN_QUEUE_HOUSEKEEP_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "lib/base/loop.h"

/* Embedded in what it works on. work runs in the thread and touches its job
 * alone; done runs in the loop afterwards, and may free the job. */
struct job {
	void (*work)(struct job *j);
	void (*done)(struct job *j);
	TAILQ_ENTRY(job) entry;
};

struct housekeep;

/* Makes its descriptors; before the jail. NULL when there are none left. */
struct housekeep *housekeep_new(struct loop *l);
/* Until then (and in tests without a thread) jobs run at the end of the
 * loop's round. */
int housekeep_start(struct housekeep *h);
/* done is called later, never from inside. urgent: somebody waits for it, so
 * it goes before the others; among its like they keep their order. */
void housekeep_post(struct housekeep *h, struct job *j, bool urgent);
/* Waits until nothing is left to do, those posted meanwhile included. */
void housekeep_drain(struct housekeep *h);
/* Ends the thread; drain first. */
void housekeep_free(struct housekeep **h);

#endif
