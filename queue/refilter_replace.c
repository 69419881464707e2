/* A mail that filters changed takes the place of the one they were shown. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "queue/quarantine.h"
#include "queue/queue.h"
#include "queue/refilter_job.h"
#include "queue/undo.h"

enum { CHANGED_MAX = 1000 }; /* recipients that met another fate meanwhile */

/* The question it was the answer to; NULL: nobody waits for that any more,
 * perhaps another worker is asked by now. */
static struct refilter_job *
job_of(
    struct queue *q, const struct smtpd_peer *p, const struct replacement *rep)
{
	struct refilter_job *job;

	LIST_FOREACH(job, &q->refilter.jobs, next)
		if (p != NULL && job->peer == p && job->id == rep->question &&
		    job->entry->seq == rep->seq)
			return job;
	return NULL;
}

/* Is it with the new mail that r goes on? Held ones do, and stay so. */
static bool
goes_on(const struct refilter_job *job, const struct rcpt *r)
{
	return job_is_asked(job, r) ||
	       (r->state == RCPT_HELD && (r->marks & MARK_UNFILTERED) != 0);
}

/* Is there anything left to do for others than those? */
static bool
has_others(const struct refilter_job *job)
{
	const struct entry *e = job->entry;
	uint32_t at = 0;

	for (uint32_t i = 0; i < e->nrcpt; i++) {
		const struct rcpt *r = &e->rcpts[i];
		bool mine = at < job->nrcpt && job->rcpts[at] == i;

		at += mine ? 1 : 0;
		if (mine && goes_on(job, r))
			continue;
		if (rcpt_is_open(r) || (r->marks & MARK_REPORT) != 0 ||
		    undo_is_kept(job->q, &job->entry->rcpts[i]))
			return true;
	}
	return false;
}

/* The first that goes on; NULL: none does. */
static const struct rcpt *
first_left(const struct refilter_job *job)
{
	for (uint32_t i = 0; i < job->nrcpt; i++)
		if (goes_on(job, job_rcpt(job, i)))
			return job_rcpt(job, i);
	return NULL;
}

struct replacement
refilter_expect(struct queue *q, const struct smtpd_peer *p, struct str msgid)
{
	const struct rcpt *r;
	struct refilter_job *job;
	bool aside;

	LIST_FOREACH(job, &q->refilter.jobs, next) {
		if (job->peer != p || job->id == 0 || job->expecting ||
		    !str_eq(str_of(job->msgid), msgid))
			continue;
		job->expecting = true;
		r = first_left(job);
		if (r == NULL)
			break;
		aside = r->state == RCPT_QUARANTINED;
		return (struct replacement){
			.seq = job->entry->seq,
			.question = job->id,
			.apart = has_others(job),
			.bodyfile = job->entry->bodyfile,
			.body_size = job->entry->body_size,
			.user = entry_origin(job->entry).user,
			.flags = job->entry->flags & ENVELOPE_TLS,
			.filter = aside ? word_str(r->relay) : STR(""),
			.reason = aside ? word_str(r->reply) : STR(""),
		};
	}
	return (struct replacement){ 0 };
}

/* What became of `old' while it was filtered becomes of the one in e. */
static void
follow(struct queue *q, struct entry *e, const struct rcpt *old)
{
	for (uint32_t i = 0; i < e->nrcpt; i++) {
		struct rcpt *r = &e->rcpts[i];

		if (!str_eq(rcpt_to(r), rcpt_to(old)))
			continue;
		if (old->state == RCPT_HELD && r->state == RCPT_ACTIVE)
			fate_held(q, r, NULL);
		else if (old->state != RCPT_HELD)
			fate_taken_over(q, r, NULL);
	}
}

/* -1: there is too much to be followed. */
static int
follow_all(struct refilter_job *job, struct entry *e)
{
	uint32_t nchanged = 0;

	for (uint32_t i = 0; i < job->nrcpt; i++)
		nchanged += job_is_asked(job, job_rcpt(job, i)) ? 0 : 1;
	if (nchanged > CHANGED_MAX)
		return -1;
	for (uint32_t i = 0; i < job->nrcpt && nchanged > 0; i++)
		if (!job_is_asked(job, job_rcpt(job, i)))
			follow(job->q, e, job_rcpt(job, i));
	return 0;
}

/* The old one is over, or at least for those. */
static void
end_old(struct refilter_job *job, const char *id)
{
	struct queue *q = job->q;
	struct entry *old = job->entry;

	for (uint32_t i = 0; i < job->nrcpt; i++) {
		struct rcpt *r = job_rcpt(job, i);

		if (goes_on(job, r))
			fate_taken_over(q, r, id);
	}
	if (id == NULL)
		fate_finish(q, old);
	else
		trace_add(q->trace, old->msgid,
		    &(struct trace_event){
			.kind = TRACE_REPLACED, .texts = { str_of(id) } });
	job_let_go(job);
}

/* What the new one has of the old one: its age, since when it is quarantined,
 * how often it was tried, and whether its sender knows that it is late. */
static void
inherit(struct refilter_job *job, struct entry *e, const struct rcpt *from)
{
	bool warned = (from->marks & MARK_WARNED) != 0;
	bool aside = from->state == RCPT_QUARANTINED;

	e->born_ms = job->entry->born_ms;
	for (uint32_t i = 0; i < e->nrcpt; i++) {
		struct rcpt *r = &e->rcpts[i];

		r->attempts = from->attempts;
		if (aside && r->state == RCPT_QUARANTINED) {
			r->due_ms = from->due_ms;
			r->in.since_ms = from->in.since_ms;
		}
		if (warned)
			rcpt_mark(r, MARK_WARNED);
	}
	if (aside || warned)
		fate_restate(job->q, e);
}

/* From now on the question is about e. */
static void
job_move(struct refilter_job *job, struct entry *e)
{
	job->entry = e;
	job->replaced = true;
	job->nrcpt = e->nrcpt;
	job->rcpts = xreallocarray(job->rcpts, e->nrcpt, sizeof(*job->rcpts));
	for (uint32_t i = 0; i < e->nrcpt; i++)
		job->rcpts[i] = i;
	e->filtering = 1;
	fate_keep(e);
}

/* Recipients that the filters added and a rule of today sets aside: not for
 * the filters to let go. */
static void
set_aside_new(const struct refilter_job *job)
{
	for (uint32_t i = 0; i < job->nrcpt; i++) {
		struct rcpt *r = job_rcpt(job, i);

		if (r->state != RCPT_QUARANTINED || job_is_asked(job, r))
			continue;
		rcpt_set_state(&job->q->index, r, RCPT_ACTIVE);
		quarantine_by_rule(job->q, r);
	}
}

bool
refilter_replace(struct queue *q, const struct smtpd_peer *p, struct entry *e,
    const struct replacement *rep)
{
	struct refilter_job *job = job_of(q, p, rep);

	if (job == NULL || (!rep->apart && has_others(job)) ||
	    first_left(job) == NULL || follow_all(job, e) != 0)
		return false;
	inherit(job, e, first_left(job));
	q->refilter.replaced++;
	end_old(job, rep->apart ? e->msgid : NULL);
	job_move(job, e);
	set_aside_new(job);
	return true;
}
