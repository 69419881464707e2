/* When a report is made; see report.h. */
#include "queue/report.h"

#include <assert.h>
#include <stdlib.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "queue/queue.h"
#include "queue/report_job.h"

enum {
	GATHER_MS = 60000, /* a failure waits so long for others */
	RETRY_MS = 60000,  /* a report that could not be kept */
	RUNNING_MAX = 32,  /* being read or written */
	RUN_MAX = 100,     /* begun in one go */
	LOOK_MAX = 1000,   /* messages looked at in one go */
	LOOK_AGAIN_MS = 1000,
	JOBS_MAX = 10000 /* no more looking for delays with so many */
};

static int
cmp_seq(const struct report_job *a, const struct report_job *b)
{
	return (a->seq > b->seq) - (a->seq < b->seq);
}

TREE_DEFINE(report_tree, report_job, by_seq, cmp_seq)

/* --- jobs --- */

bool
report_is_due(const struct entry *e)
{
	return e->reporting && (report_concerns_any(e, REPORT_FAILED) ||
				   report_concerns_any(e, REPORT_SUCCESS));
}

static struct report_job *
find_job(struct queue *q, const struct entry *e)
{
	struct report_job key = { .seq = e->seq }, *job;

	job = RB_FIND(report_tree, &q->reports.by_seq, &key);
	assert(job != NULL);
	return job;
}

static void
set_timer(struct queue *q)
{
	struct reports *rs = &q->reports;
	const struct report_job *first = TAILQ_FIRST(&rs->waiting);
	uint64_t at = rs->look_ms, now = queue_now_ms(q);

	if (first != NULL && (at == 0 || first->due_ms < at))
		at = first->due_ms;
	if (!TAILQ_EMPTY(&rs->ready) && rs->nrunning < RUNNING_MAX)
		at = now;
	if (!q->started || at == 0)
		timer_stop(rs->timer);
	else
		timer_set(rs->timer, at > now ? at - now : 0);
}

static void
job_wait(struct report_job *job, uint64_t ms, bool put_off)
{
	struct queue *q = job->q;

	job->place = JOB_WAITING;
	job->put_off = put_off;
	job->due_ms = queue_now_ms(q) + ms;
	TAILQ_INSERT_TAIL(&q->reports.waiting, job, link);
	set_timer(q);
}

static void
job_ready(struct report_job *job)
{
	struct reports *rs = &job->q->reports;

	if (job->place == JOB_WAITING)
		TAILQ_REMOVE(&rs->waiting, job, link);
	job->place = JOB_READY;
	TAILQ_INSERT_TAIL(&rs->ready, job, link);
	set_timer(job->q);
}

/* That of e, or a new one, which waits for others to fail. */
static struct report_job *
job_of(struct queue *q, struct entry *e)
{
	struct report_job *job;

	if (e->reporting)
		return find_job(q, e);
	job = xcalloc(1, sizeof(*job));
	job->q = q;
	job->entry = e;
	job->seq = e->seq;
	e->reporting = 1;
	q->reports.count++;
	RB_INSERT(report_tree, &q->reports.by_seq, job);
	job_wait(job, GATHER_MS, false);
	if (e->nbusy == 0)
		job_ready(job);
	return job;
}

static void
job_free(struct report_job *job)
{
	struct reports *rs = &job->q->reports;

	if (job->place == JOB_WAITING)
		TAILQ_REMOVE(&rs->waiting, job, link);
	else if (job->place == JOB_READY)
		TAILQ_REMOVE(&rs->ready, job, link);
	RB_REMOVE(report_tree, &rs->by_seq, job);
	rs->count--;
	job->entry->reporting = 0;
	free(job->rcpts);
	free(job->content);
	free(job);
}

void
report_forget(struct queue *q, struct entry *e)
{
	struct report_job *job = find_job(q, e);

	assert(job->place != JOB_RUNNING);
	job_free(job);
}

void
report_idle(struct queue *q, struct entry *e)
{
	struct report_job *job = find_job(q, e);

	if (job->place == JOB_WAITING && !job->put_off)
		job_ready(job);
}

/* The report that was being made is made, or not; what else is there? */
void
report_done(struct report_job *job, bool put_off)
{
	struct queue *q = job->q;
	struct entry *e = job->entry;

	q->reports.nrunning--;
	fate_release(q, e);
	if (!report_concerns_any(e, REPORT_DELAYED))
		job->late = false;
	if (!job->late && !report_is_due(e))
		job_free(job);
	else if (put_off)
		job_wait(job, RETRY_MS, true);
	else if (e->nbusy > 0)
		job_wait(job, GATHER_MS, false);
	else
		job_ready(job);
	set_timer(q);
}

static void
job_run(struct report_job *job)
{
	struct queue *q = job->q;

	TAILQ_REMOVE(&q->reports.ready, job, link);
	job->place = JOB_RUNNING;
	q->reports.nrunning++;
	fate_keep(job->entry);
	if (store_space(q->store, NULL) != SPACE_OK)
		report_done(job, true);
	else
		report_make(job);
}

/* --- failures and successes --- */

static void
add_end(struct queue *q, struct rcpt *r, uint64_t at_ms)
{
	rcpt_mark(r, MARK_REPORT);
	r->due_ms = at_ms;
	job_of(q, rcpt_entry(r));
}

void
report_failed(struct queue *q, struct rcpt *r, uint64_t at_ms)
{
	if (rcpt_wants(r, NOTIFY_FAILURE))
		add_end(q, r, at_ms);
	else
		q->reports.unwanted++;
}

void
report_delivered(struct queue *q, struct rcpt *r, uint64_t at_ms)
{
	if (rcpt_entry(r)->from_len > 0)
		add_end(q, r, at_ms);
}

void
report_resume(struct queue *q, struct entry *e)
{
	if (report_concerns_any(e, REPORT_FAILED) ||
	    report_concerns_any(e, REPORT_SUCCESS))
		job_of(q, e);
}

/* --- delays --- */

/* Looks at those that grew old enough since the last time, oldest first;
 * returns when to look on, 0 for never. */
static uint64_t
look(struct queue *q)
{
	struct reports *rs = &q->reports;
	uint64_t now = queue_now_ms(q), age;
	struct entry *e;

	if (rs->warn_ms == 0)
		return 0;
	for (int i = 0; i < LOOK_MAX; i++) {
		e = index_from_seq(&q->index, rs->warn_seq);
		if (e == NULL)
			return now + rs->warn_ms; /* what comes is younger */
		age = entry_age(e, now);
		if (age < rs->warn_ms)
			return now + rs->warn_ms - age;
		if (!e->committed || rs->count >= JOBS_MAX)
			return now + LOOK_AGAIN_MS;
		rs->warn_seq = e->seq + 1;
		if (e->from_len > 0 && report_concerns_any(e, REPORT_DELAYED))
			job_of(q, e)->late = true;
	}
	return now;
}

void
report_deferred(struct queue *q, struct rcpt *r)
{
	const struct reports *rs = &q->reports;
	struct entry *e = rcpt_entry(r);

	if (rs->warn_ms != 0 && e->seq < rs->warn_seq && e->from_len > 0 &&
	    report_concerns(r, REPORT_DELAYED) && rs->count < JOBS_MAX &&
	    entry_age(e, queue_now_ms(q)) >= rs->warn_ms)
		job_of(q, e)->late = true;
}

/* Never more than a little at once: the queue has other things to do. */
static void
on_timer(void *ctx)
{
	struct queue *q = ctx;
	struct reports *rs = &q->reports;
	uint64_t now = queue_now_ms(q);
	struct report_job *job;

	while ((job = TAILQ_FIRST(&rs->waiting)) != NULL && job->due_ms <= now)
		job_ready(job);
	if (rs->look_ms != 0 && rs->look_ms <= now)
		rs->look_ms = look(q);
	for (int i = 0; i < RUN_MAX && rs->nrunning < RUNNING_MAX; i++) {
		job = TAILQ_FIRST(&rs->ready);
		if (job == NULL)
			break;
		/* It is out of the list before it is freed. */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		job_run(job);
	}
	set_timer(q);
}

/* --- start --- */

void
report_init(struct queue *q)
{
	struct reports *rs = &q->reports;

	*rs = (struct reports){ 0 };
	RB_INIT(&rs->by_seq);
	TAILQ_INIT(&rs->waiting);
	TAILQ_INIT(&rs->ready);
	rs->timer = timer_new(q->loop, on_timer, q);
}

void
report_start(struct queue *q)
{
	q->reports.look_ms = look(q);
	set_timer(q);
}

void
report_set_config(struct queue *q)
{
	struct reports *rs = &q->reports;

	if (rs->warn_ms == q->config->queue.warn)
		return;
	rs->warn_ms = q->config->queue.warn;
	rs->warn_seq = 0;
	if (q->started)
		report_start(q);
}
