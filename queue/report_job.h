/* What is to be told of one message, between report.c (when) and
 * report_make.c (what, whom, and into the queue). */
#ifndef POSTERN_QUEUE_REPORT_JOB_H
#define POSTERN_QUEUE_REPORT_JOB_H

#include "lib/base/tree.h"
#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "queue/index.h"
#include "queue/report_text.h"
#include "queue/route.h"

struct queue;

enum job_place { JOB_WAITING, JOB_READY, JOB_RUNNING };

/* What is to be told of one message. */
struct report_job {
	RB_ENTRY(report_job) by_seq;
	TAILQ_ENTRY(report_job) link; /* waiting or ready */
	struct queue *q;
	struct entry *entry;
	uint64_t seq;    /* its own */
	uint64_t due_ms; /* while waiting */
	enum job_place place;
	bool put_off; /* waits for the store, not for others */
	bool late;    /* its sender is to be told of a delay */
	/* of the report in the making */
	enum report_kind kind;
	struct str to;
	struct route_decision decision;
	struct rcpt **rcpts; /* owned: whom it is about */
	uint32_t nrcpt;
	struct entry *report;    /* its own, until it is durable */
	struct content *content; /* owned until it goes to the cache */
};

/* Is r to be told of in a report of this kind? */
bool report_concerns(const struct rcpt *r, enum report_kind kind);
bool report_concerns_any(const struct entry *e, enum report_kind kind);
/* Makes a report about those it concerns now, and ends with report_done,
 * perhaps at once. The message is kept busy meanwhile. */
void report_make(struct report_job *job);
/* The report is durable, or there is none to make, or (put_off) it could not
 * be kept. The job may be gone. */
void report_done(struct report_job *job, bool put_off);

#endif
