/*
 * Reports to senders: who could not be reached, who is late, and, if they ask
 * for it, who was reached (RFC 3461).
 *
 * A recipient that failed has MARK_REPORT, and is stored as failed but not
 * told, until the report about it is durable: the report's own mail record
 * and the states that say "told" go into one commit, the mail first. What is
 * to be told of one message gathers in a job, which begins when nobody is
 * busy with the message any more, or after a minute. Those delivered whose
 * senders want to know have the same way.
 */
#ifndef POSTERN_QUEUE_REPORT_H
#define POSTERN_QUEUE_REPORT_H

#include "lib/base/tree.h"
#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "queue/index.h"

struct queue;
struct report_job;

RB_HEAD(report_tree, report_job);
TAILQ_HEAD(report_list, report_job);

struct reports {
	struct report_tree by_seq;  /* all jobs: one a message */
	struct report_list waiting; /* in the order of their time */
	struct report_list ready;
	size_t count, nrunning;
	struct timer *timer; /* ready ones, the first waiting one, a look */
	uint64_t warn_seq;   /* older messages were looked at for delay */
	uint64_t look_ms;    /* when to look on, monotonic */
	uint64_t warn_ms;    /* as configured; 0: nobody is told of delay */
	uint64_t made;       /* since the start */
	uint64_t unwanted;   /* failures that NOTIFY keeps from senders */
};

void report_init(struct queue *q);
/* The first configuration, or another one. */
void report_set_config(struct queue *q);
/* The queue has started; its messages are in the index. */
void report_start(struct queue *q);

/* r, now RCPT_BOUNCED, failed; at_ms: when (monotonic), 0: without an
 * attempt. Nothing happens when its sender does not want to know. */
void report_failed(struct queue *q, struct rcpt *r, uint64_t at_ms);
/* r, now RCPT_DELIVERED, was, which its sender wants to know. */
void report_delivered(struct queue *q, struct rcpt *r, uint64_t at_ms);
/* r is tried again later. Mail that was in quarantine when those of its age
 * were looked at for delay is looked at here. */
void report_deferred(struct queue *q, struct rcpt *r);
/* A recovered message: what its sender was not told yet is told. */
void report_resume(struct queue *q, struct entry *e);
/* Is there a failure or a success its sender is still to be told of? */
bool report_is_due(const struct entry *e);
/* Nobody is busy with e any more; it has a job. */
void report_idle(struct queue *q, struct entry *e);
/* e, which has a job, is about to be freed; nobody is busy with it. */
void report_forget(struct queue *q, struct entry *e);

#endif
