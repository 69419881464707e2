/*
 * The line, the questions, and what the answers mean; see refilter.h.
 *
 * While a message is with a worker its recipients are nowhere: an
 * administrator's change takes effect at once, and the answer counts for those
 * that are still as they were when it was asked for.
 */
#include "queue/refilter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "queue/body_pass.h"
#include "queue/from_smtpd.h"
#include "queue/quarantine.h"
#include "queue/queue.h"
#include "queue/refilter_job.h"
#include "queue/wishes.h"

enum {
	QUESTIONS_MAX = 16,  /* open ones of one worker */
	RUN_MAX = 100,       /* begun in one go */
	INLINE_MAX = 2359296 /* of ask_filter */
};

static const char *const whys[] = {
	[FILTER_AFTER_QUEUE] = "after-queue",
	[FILTER_REPORT] = "report",
	[FILTER_RESCAN] = "rescan",
};

static const char *const verdicts[] = {
	[FILTERED_PASS] = "accept",
	[FILTERED_QUARANTINE] = "quarantine",
	[FILTERED_DISCARD] = "discard",
	[FILTERED_REJECT] = "reject",
	[FILTERED_TEMPFAIL] = "tempfail",
	[FILTERED_STOPPING] = "stopping",
};

/* --- the line --- */

void
refilter_add(struct queue *q, struct rcpt *r)
{
	assert(r->place == PLACE_NONE);
	if (rcpt_entry(r)->filtering)
		return; /* job_end looks for it */
	r->place = PLACE_FILTER;
	TAILQ_INSERT_TAIL(&q->refilter.line, r, link);
	refilter_run_soon(q);
}

void
refilter_del(struct queue *q, struct rcpt *r)
{
	assert(r->place == PLACE_FILTER);
	TAILQ_REMOVE(&q->refilter.line, r, link);
	r->place = PLACE_NONE;
}

bool
refilter_has(const struct rcpt *r)
{
	return r->state == RCPT_QUARANTINED && r->place != PLACE_RETRY;
}

/* Should r be in the line? */
static bool
wants_filters(const struct rcpt *r)
{
	if (r->place != PLACE_NONE)
		return false;
	if (r->state == RCPT_QUARANTINED)
		return true;
	return r->state == RCPT_ACTIVE && (r->marks & MARK_UNFILTERED) != 0;
}

void
refilter_run_soon(struct queue *q)
{
	if (q->started && !q->stopping)
		loop_after(q->loop, &q->refilter.run);
}

/* --- the end of a question --- */

struct rcpt *
job_rcpt(const struct refilter_job *job, uint32_t i)
{
	return &job->entry->rcpts[job->rcpts[i]];
}

bool
job_is_asked(const struct refilter_job *job, const struct rcpt *r)
{
	if (!wants_filters(r))
		return false;
	return (r->state == RCPT_QUARANTINED) == (job->why == FILTER_RESCAN);
}

void
job_let_go(struct refilter_job *job)
{
	struct entry *e = job->entry;

	e->filtering = 0;
	for (uint32_t i = 0; i < e->nrcpt; i++)
		if (wants_filters(&e->rcpts[i]))
			refilter_add(job->q, &e->rcpts[i]);
	fate_release(job->q, e);
}

static void
job_end(struct refilter_job *job)
{
	struct queue *q = job->q;

	job_let_go(job);
	LIST_REMOVE(job, next);
	q->refilter.njobs--;
	if (job->peer != NULL)
		job->peer->nquestions--;
	free(job->rcpts);
	free(job);
	refilter_run_soon(q);
}

/* --- verdicts --- */

static void
put_off(struct queue *q, struct rcpt *r, const struct heard *h)
{
	if (r->state == RCPT_QUARANTINED)
		quarantine_wait_on(q, r);
	else
		fate_deferred(q, r, h);
}

static void
pass(struct queue *q, struct rcpt *r, const struct heard *h)
{
	(void)h;
	fate_passed(q, r);
}

static void
set_aside(struct queue *q, struct rcpt *r, const struct heard *h)
{
	/* By no filter: why it is there already is still the reason. */
	if (r->state == RCPT_QUARANTINED && h->relay.len == 0)
		quarantine_wait_on(q, r);
	else
		quarantine_put(q, r, h->relay, h->reply);
}

static void
discard(struct queue *q, struct rcpt *r, const struct heard *h)
{
	fate_dropped(q, r, TRACE_DISCARDED, h);
}

static void (*const outcomes[])(
    struct queue *, struct rcpt *, const struct heard *) = {
	[FILTERED_PASS] = pass,
	[FILTERED_QUARANTINE] = set_aside,
	[FILTERED_DISCARD] = discard,
	[FILTERED_REJECT] = fate_refused,
	[FILTERED_TEMPFAIL] = put_off,
	[FILTERED_STOPPING] = NULL, /* another worker is asked */
};

static void
apply(struct refilter_job *job, enum filtered verdict, const struct heard *h)
{
	for (uint32_t i = 0; i < job->nrcpt; i++) {
		struct rcpt *r = job_rcpt(job, i);

		if (job_is_asked(job, r))
			outcomes[verdict](job->q, r, h);
	}
}

/* The worker is gone. Once that may be chance; then it may be the mail that
 * it died of. */
static void
lost(struct refilter_job *job)
{
	const struct heard h = {
		.reply = STR("4.3.0 the process that filters died"),
	};

	for (uint32_t i = 0; i < job->nrcpt; i++) {
		struct rcpt *r = job_rcpt(job, i);

		if (!job_is_asked(job, r))
			continue;
		if (r->state != RCPT_QUARANTINED && r->attempts == 0)
			r->attempts++; /* job_end has it again */
		else
			put_off(job->q, r, &h);
	}
}

static const char *
default_reply(enum filtered verdict)
{
	if (verdict == FILTERED_REJECT)
		return "554 5.7.1 Message refused";
	return verdict == FILTERED_TEMPFAIL ? "451 4.7.1 Try again later" : "";
}

static void
tell_verdict(struct refilter_job *job, enum filtered verdict,
    const struct heard *h, bool changed)
{
	struct log_ctx ctx = { NULL, "msg", job->msgid };
	struct trace_event ev = {
		.kind = TRACE_FILTERED,
		.texts = { str_of(verdicts[verdict]), h->relay, h->reply,
		    changed ? STR("yes") : STR("") },
	};

	log_info(&ctx, "filtered",
	    "why=%s verdict=%s filter=%s reply=%s changed=%s", whys[job->why],
	    verdicts[verdict], log_str(h->relay), log_str(h->reply),
	    changed ? "yes" : "no");
	trace_add(job->q->trace, job->msgid, &ev);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct refilter_job *job = ctx;
	const struct answer_filtered *m = msg;
	struct heard h = { 0 };
	enum filtered verdict;

	if (fault != NULL || type != TYPE_answer_filtered) {
		lost(job);
		job_end(job);
		return;
	}
	verdict = m->verdict;
	if (verdict == FILTERED_STOPPING) {
		job->peer->stopping = true;
		job_end(job);
		return;
	}
	h.relay = m->filter;
	h.reply = m->reply.len > 0 ? m->reply : str_of(default_reply(verdict));
	tell_verdict(job, verdict, &h, m->replaced != 0);
	/* The changed mail was not let in: what is here is not what the
	 * verdict is about. */
	if ((m->replaced != 0) != job->replaced)
		verdict = FILTERED_TEMPFAIL;
	apply(job, verdict, &h);
	job_end(job);
}

/* --- the question --- */

/* Its content cannot be had, or its envelope makes no question. */
static void
give_up(struct refilter_job *job, const struct fault *why)
{
	struct heard h = { .reply =
			       STR("4.3.0 the stored message cannot be read") };
	struct log_ctx ctx = { NULL, "msg", job->msgid };

	log_warn(&ctx, "unreadable", "why=%s", log_cstr(why->text));
	for (uint32_t i = 0; i < job->nrcpt; i++) {
		struct rcpt *r = job_rcpt(job, i);

		if (!job_is_asked(job, r))
			continue;
		if (r->state == RCPT_QUARANTINED)
			quarantine_wait_on(job->q, r);
		else if (why->class != FAULT_PERM)
			fate_unread(job->q, r, &h);
		else
			fate_held(
			    job->q, r, "4.3.0 the stored message is damaged");
	}
	job_end(job);
}

static bool
fits(const struct entry *e, struct str content, struct str context)
{
	struct origin o = entry_origin(e);

	return content.len == entry_inline_size(e) &&
	       content.len <= INLINE_MAX && e->header_size <= 2097152 &&
	       e->from_len <= ENVELOPE_ADDRESS_MAX && e->nrcpt <= 100000 &&
	       o.client.len <= 64 && o.listener.len <= 80 &&
	       context.len <= COMMIT_CONTEXT_MAX;
}

static void
tell_rcpts(const struct refilter_job *job, struct channel *ch, struct wishes *w)
{
	for (uint32_t i = 0; i < job->nrcpt; i++) {
		const struct rcpt *r = job_rcpt(job, i);
		struct tell_rcpt m = {
			.to = rcpt_to(r),
			.action = word_str(r->action),
			.start = r->state == RCPT_QUARANTINED ?
				     START_QUARANTINED :
				     START_UNFILTERED,
			.notify = r->notify,
			.orcpt = wishes_orcpt(w, r->index),
		};

		channel_tell(ch, TYPE_tell_rcpt, &m, job->id);
	}
}

static void
tell_body(
    const struct refilter_job *job, struct channel *ch, struct body_pass *b)
{
	struct tell_body m = { .file = body_pass_fd(b) };

	if (m.file != -1)
		channel_tell(ch, TYPE_tell_body, &m, job->id);
}

static void
tell_content(
    const struct refilter_job *job, struct channel *ch, struct str content)
{
	while (content.len > 0) {
		struct tell_content m = { .bytes = str_head(
					      content, CHANNEL_CONTENT_MAX) };

		channel_tell(ch, TYPE_tell_content, &m, job->id);
		content = str_skip(content, m.bytes.len);
	}
}

static void
trace_asked(const struct refilter_job *job)
{
	struct trace_event ev = {
		.kind = TRACE_FILTERING,
		.texts = { str_of(whys[job->why]) },
		.numbers = { job->nrcpt },
	};

	trace_add(job->q->trace, job->msgid, &ev);
}

static void
ask(struct refilter_job *job, struct str content, struct str context,
    struct str wishes)
{
	struct entry *e = job->entry;
	struct origin o = entry_origin(e);
	struct wishes w;
	struct ask_filter m = {
		.msgid = { e->msgid, ID_LEN },
		.why = (uint8_t)job->why,
		.from = entry_from(e),
		.flags = e->flags,
		.received_ms = e->received_ms,
		.client = o.client,
		.client_name = o.client_name,
		.listener = o.listener,
		.nrcpt = job->nrcpt,
		.header_size = e->header_size,
		.inline_size = (uint32_t)content.len,
		.has_file = e->bodyfile != 0,
		.body_size = e->body_size,
		.context = context,
	};
	struct channel *ch = job->peer->channel;
	struct body_pass body;
	struct fault why;

	if (!fits(e, content, context)) {
		fault_set(&why, FAULT_PERM, "its sizes make no sense");
		give_up(job, &why);
		return;
	}
	if (body_pass_open(job->q->store, e->bodyfile, &body) != 0) {
		fault_errno(&why, FAULT_OURS, "its body file");
		give_up(job, &why);
		return;
	}
	trace_asked(job);
	wishes_init(&w, wishes);
	m.envid = wishes_envid(&w);
	job->q->refilter.asked++;
	job->id = channel_ask(ch, TYPE_ask_filter, &m, on_answer, job);
	tell_rcpts(job, ch, &w);
	tell_body(job, ch, &body);
	tell_content(job, ch, content);
	body_pass_close(&body);
}

static void
on_read(void *ctx, const struct mail_record *m, const struct fault *why)
{
	struct refilter_job *job = ctx;
	struct buf wishes;

	job->reading = false;
	if (job->peer == NULL) {
		job_end(job); /* for another worker */
		return;
	}
	if (m == NULL) {
		give_up(job, why);
		return;
	}
	buf_init(&wishes, WISHES_MAX);
	wishes_make(m, &wishes);
	ask(job, m->content, m->context, buf_str(&wishes));
	buf_clear(&wishes);
}

/* --- who is asked --- */

static struct smtpd_peer *
choose_peer(struct queue *q)
{
	struct smtpd_peer *p, *best = NULL;

	LIST_FOREACH(p, &q->smtpds, next)
		if (!p->stopping && p->nquestions < QUESTIONS_MAX &&
		    channel_is_open(p->channel) &&
		    !channel_is_full(p->channel) &&
		    (best == NULL || p->nquestions < best->nquestions))
			best = p;
	return best;
}

static enum filter_why
why_of(const struct rcpt *first, const struct entry *e)
{
	if (first->state == RCPT_QUARANTINED)
		return FILTER_RESCAN;
	return route_is_report(e) ? FILTER_REPORT : FILTER_AFTER_QUEUE;
}

/* All of e that are in the line for the same reason as its first one. */
static struct refilter_job *
job_new(struct queue *q, struct rcpt *first, struct smtpd_peer *p)
{
	struct entry *e = rcpt_entry(first);
	struct refilter_job *job = xmalloc(sizeof(*job));

	*job = (struct refilter_job){ .q = q, .peer = p, .entry = e };
	job->rcpts = xreallocarray(NULL, e->nrcpt, sizeof(*job->rcpts));
	job->why = why_of(first, e);
	memcpy(job->msgid, e->msgid, sizeof(job->msgid));
	for (uint32_t i = 0; i < e->nrcpt; i++) {
		struct rcpt *r = &e->rcpts[i];

		if (r->place != PLACE_FILTER)
			continue;
		/* Those in the line for another reason come back to it. */
		refilter_del(q, r);
		if (job_is_asked(job, r))
			job->rcpts[job->nrcpt++] = i;
	}
	e->filtering = 1;
	fate_keep(e);
	p->nquestions++;
	LIST_INSERT_HEAD(&q->refilter.jobs, job, next);
	q->refilter.njobs++;
	return job;
}

static void
job_start(struct refilter_job *job)
{
	struct queue *q = job->q;
	struct content *c = cache_get(&q->cache, job->entry);

	if (c != NULL && c->has_context) {
		ask(job, (struct str){ c->bytes, c->len }, content_context(c),
		    content_wishes(c));
		return;
	}
	job->reading = true;
	store_read(q->store, job->entry->ref, on_read, job);
}

static void
on_run(void *ctx)
{
	struct queue *q = ctx;
	struct smtpd_peer *p;
	struct rcpt *r;

	for (int i = 0; i < RUN_MAX; i++) {
		r = TAILQ_FIRST(&q->refilter.line);
		p = r == NULL ? NULL : choose_peer(q);
		if (p == NULL || q->stopping)
			return; /* an answer, a worker, a channel comes back */
		job_start(job_new(q, r, p));
	}
	/* In a round of its own: each begins with what gathers here. */
	timer_set(q->refilter.go_on, 0);
}

void
refilter_init(struct queue *q)
{
	struct refilter *f = &q->refilter;

	*f = (struct refilter){ 0 };
	TAILQ_INIT(&f->line);
	LIST_INIT(&f->jobs);
	deferred_init(&f->run, on_run, q);
	f->go_on = timer_new(q->loop, on_run, q);
}

/* --- for from_smtpd.c --- */

const char *
refilter_msgid(struct queue *q, const struct smtpd_peer *p, uint64_t id)
{
	const struct refilter_job *job;

	LIST_FOREACH(job, &q->refilter.jobs, next)
		if (job->peer == p && job->id == id && id != 0)
			return job->msgid;
	return NULL;
}

void
refilter_lose(struct queue *q, struct smtpd_peer *p)
{
	struct refilter_job *job, *next;

	for (job = LIST_FIRST(&q->refilter.jobs); job != NULL; job = next) {
		next = LIST_NEXT(job, next);
		if (job->peer != p)
			continue;
		job->peer = NULL;
		if (job->reading)
			continue; /* on_read ends it */
		channel_cancel(p->channel, job->id);
		lost(job);
		job_end(job);
	}
}
