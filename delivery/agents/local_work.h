/* A work of the queue for an agent that delivers here: a mail, and whom it is
 * for. */
#ifndef POSTERN_AGENTS_LOCAL_WORK_H
#define POSTERN_AGENTS_LOCAL_WORK_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "delivery/agents/mail_text.h"
#include "edges/queue_delivery.h"
#include "lib/base/counter.h"

/* A recipient, as the queue named it. */
struct local_rcpt {
	uint32_t index;
	char *to;
	char *orcpt; /* "type;address"; behind to, perhaps empty */
};

/* Owned by whoever from_queue.c gave it to. */
struct local_work {
	TAILQ_ENTRY(local_work) entry; /* its owner's */
	uint64_t id;                   /* of the queue */
	uint64_t begun_ms;
	char *from, *action;
	char *content;
	size_t inline_size, ncontent;
	uint64_t body_size;
	int file; /* -1: none, or not yet */
	bool in_file;
	struct local_rcpt *rcpts;
	uint32_t nrcpts, nexpected;
	/* for the owner: how many were begun, and how many are under way */
	uint32_t begun, running;
};

/* From the queue's words; NULL when they make no sense. */
struct local_work *local_work_new(const struct tell_work *m, uint64_t id);
void local_work_free(struct local_work **w);
int local_work_add_rcpt(struct local_work *w, const struct tell_work_rcpt *m);
/* The file is the work's when this returned 0. */
int local_work_add_file(struct local_work *w, int file);
int local_work_add_content(struct local_work *w, struct str bytes);
bool local_work_is_complete(const struct local_work *w);

/* The mail for one of them; lives no longer than the work. */
void local_work_text(const struct local_work *w, const struct local_rcpt *r,
    struct mail_text *out);

/* --- what is told of it --- */

/* Made by local_outcome_set. */
struct local_outcome {
	enum outcome outcome;
	char status[16];
	char reply[512]; /* printable ASCII */
};

/* Texts that are too long are cut. */
void local_outcome_set(struct local_outcome *o, enum outcome outcome,
    const char *status, const char *reply);
/* Tells the queue, and counts. where: the box, or the command. */
void local_work_tell(const struct local_work *w, const struct local_rcpt *r,
    const struct local_outcome *o, struct str where, struct channel *queue);
/* All of its results were told. */
void local_work_done(const struct local_work *w, struct channel *queue);

/* By outcome, with the names that delivery counts under too; ended by a NULL
 * name. */
const struct counter *local_work_counters(void);

#endif
