/* A question about one message, between refilter.c (when, and what the answer
 * means) and refilter_replace.c (a changed mail). */
#ifndef POSTERN_QUEUE_REFILTER_JOB_H
#define POSTERN_QUEUE_REFILTER_JOB_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "edges/smtpd_queue.h"
#include "queue/index.h"

struct queue;
struct smtpd_peer;

struct refilter_job {
	LIST_ENTRY(refilter_job) next;
	struct queue *q;
	struct smtpd_peer *peer; /* NULL: gone, while we read */
	struct entry *entry;     /* kept busy */
	uint64_t id;             /* of the question; 0: not asked yet */
	enum filter_why why;
	bool expecting; /* a mail in its place was handed in */
	bool replaced;  /* and is there: it is the entry now */
	bool reading;
	char msgid[ID_LEN + 1];
	uint32_t nrcpt;
	uint32_t *rcpts; /* owned: their indexes */
};

/* The i-th that it is about. */
struct rcpt *job_rcpt(const struct refilter_job *job, uint32_t i);
/* Is r as it was when the filters were asked? */
bool job_is_asked(const struct refilter_job *job, const struct rcpt *r);
/* Its entry is not with the filters any more; who is to be seen again, or came
 * to it meanwhile, goes to the line. */
void job_let_go(struct refilter_job *job);

#endif
