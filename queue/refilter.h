/*
 * Mail that the queue has shown to filters: what is accepted but was not seen
 * by those with `phase queue' yet, our own reports, and what somebody wants
 * looked at again out of quarantine.
 *
 * Recipients wait in one line (PLACE_FILTER); when a smtpd worker has room,
 * all of the first one's message that wait there become a question. The
 * worker may hand in a changed mail, which takes the old one's place once it
 * is durable; then it gives its verdict.
 */
#ifndef POSTERN_QUEUE_REFILTER_H
#define POSTERN_QUEUE_REFILTER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "queue/index.h"

struct queue;
struct refilter_job;
struct smtpd_peer;

LIST_HEAD(refilter_jobs, refilter_job);

struct refilter {
	struct rcpt_list line;
	struct refilter_jobs jobs;
	size_t njobs;
	struct deferred run;
	struct timer *go_on;      /* for those with more to do */
	uint64_t asked, replaced; /* ever */
};

void refilter_init(struct queue *q);

/* An active, unfiltered recipient or a quarantined one, nowhere: to the end of
 * the line, or there once the question about its message has its answer. */
void refilter_add(struct queue *q, struct rcpt *r);
/* r, PLACE_FILTER: out of the line. */
void refilter_del(struct queue *q, struct rcpt *r);
/* r is quarantined: is it about to be looked at? */
bool refilter_has(const struct rcpt *r);
/* There may be room for more questions now. */
void refilter_run_soon(struct queue *q);

/* --- for from_smtpd.c --- */

/* The mail that p's question id is about; NULL: there is no such question. */
const char *refilter_msgid(
    struct queue *q, const struct smtpd_peer *p, uint64_t id);
/* p is going: it answers nothing more. */
void refilter_lose(struct queue *q, struct smtpd_peer *p);

/* A mail handed in to take the place of the one that p is asked about. */
struct replacement {
	uint64_t seq; /* of the old mail; 0: there is no such question */
	uint64_t question;
	/* The old one stays for recipients that were not asked about: the new
	 * one needs an id of its own. */
	bool apart;
	uint64_t bodyfile, body_size; /* the old one's */
	uint32_t flags;               /* likewise: ENVELOPE_TLS */
	/* likewise; valid until it is over */
	struct str user;
	struct str filter, reason; /* when it was quarantined */
};
struct replacement refilter_expect(
    struct queue *q, const struct smtpd_peer *p, struct str msgid);
/* e is durable at its ref: it takes the old one's place, and the verdict to
 * come is about it; what was done to the recipients meanwhile is done to e's.
 * False: it must not be there, because the old one went its way. p: NULL when
 * it is gone, and its word with it. */
bool refilter_replace(struct queue *q, const struct smtpd_peer *p,
    struct entry *e, const struct replacement *rep);

#endif
