/* The queue's questions: gathered, one after another begun, answered. */
#include "smtpd/scan_queue.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "smtpd/content.h"
#include "smtpd/from_queue.h"
#include "smtpd/listener.h"
#include "smtpd/scan_job.h"

enum {
	/* Until filters are looked at again that had no connection left. */
	NO_ROOM_MS = 500
};

static TAILQ_HEAD(, job) jobs = TAILQ_HEAD_INITIALIZER(jobs);
static size_t njobs, nrunning;
static bool begun, stopped;
static struct loop *loop;
static struct timer *again;
static struct deferred turn;

/* --- the life of one --- */

static void
reap(void *ctx)
{
	struct job *j = ctx;

	/* Behind the end of its filters' connections, which still look at
	 * their names. */
	content_free(&j->body);
	facts_clear(&j->facts);
	context_free(&j->context);
	mail_events_clear(&j->events);
	config_unref(&j->config);
	for (size_t i = 0; i < j->nrcpts; i++)
		free(j->rcpts[i].to);
	free(j->rcpts);
	free(j->shown);
	buf_clear(&j->content);
	if (j->fd >= 0)
		close(j->fd);
	free(j->texts);
	free(j->words);
	free(j);
}

static void
job_end(struct job *j)
{
	struct channel *ch = from_queue_channel();

	if (j->state == JOB_OVER)
		return;
	if (j->state == JOB_RUNNING || j->state == JOB_STORING)
		nrunning--;
	j->state = JOB_OVER;
	TAILQ_REMOVE(&jobs, j, entry);
	njobs--;
	if (j->commit != 0 && ch != NULL)
		channel_cancel(ch, j->commit);
	scan_free(&j->scan);
	loop_after(loop, &j->reap);
	loop_after(loop, &turn);
}

/* Several lines as one. */
static void
add_line(struct buf *b, struct str s, size_t max)
{
	size_t from = b->len;

	for (size_t i = 0; i < s.len && b->len - from < max; i++)
		if (s.p[i] == '\n')
			buf_add_char(b, ' ');
		else if (s.p[i] != '\r')
			buf_add_char(b, s.p[i]);
}

void
job_set_verdict(
    struct job *j, enum filtered verdict, const char *filter, const char *reply)
{
	struct buf b;

	buf_init(&b, 1024);
	add_line(&b, str_of(filter), 64);
	size_t n = b.len;
	add_line(&b, str_of(reply), 600);
	free(j->words);
	j->words = str_dup(buf_str(&b));
	j->verdict.verdict = (uint8_t)verdict;
	j->verdict.filter = (struct str){ j->words, n };
	j->verdict.reply = (struct str){ j->words + n, b.len - n };
	buf_clear(&b);
}

void
job_answer(struct job *j)
{
	struct channel *ch = from_queue_channel();

	if (ch != NULL) {
		mail_events_send(&j->events, ch, j->id);
		channel_tell(ch, TYPE_answer_filtered, &j->verdict, j->id);
	}
	job_end(j);
}

void
job_fail(struct job *j, const char *why)
{
	log_warn(&j->log, "scan-failed", "why=%s", log_cstr(why));
	job_set_verdict(j, FILTERED_TEMPFAIL, NULL, why);
	j->verdict.replaced = 0;
	job_answer(j);
}

/* --- whose turn it is --- */

static void
start_some(void *ctx)
{
	struct job *j, *next;

	(void)ctx;
	if (!begun)
		return;
	for (j = TAILQ_FIRST(&jobs); j != NULL && nrunning < SCANS_AT_ONCE;
	     j = next) {
		next = TAILQ_NEXT(j, entry);
		if (j->state != JOB_WAITING)
			continue;
		j->state = JOB_RUNNING;
		nrunning++;
		if (!job_begin(j, listener_config())) {
			j->state = JOB_WAITING;
			nrunning--;
			timer_set(again, NO_ROOM_MS);
			return;
		}
	}
}

void
scan_queue_init(struct loop *l)
{
	loop = l;
	/* What the former queue asked may still be on its way. */
	if (again != NULL)
		return;
	again = timer_new(l, start_some, NULL);
	deferred_init(&turn, start_some, NULL);
}

void
scan_queue_go(void)
{
	begun = true;
	stopped = false;
	if (njobs > 0)
		loop_after(loop, &turn);
}

/* --- its parts --- */

static struct job *
find(uint64_t id)
{
	struct job *j;

	TAILQ_FOREACH(j, &jobs, entry)
		if (j->id == id && j->state == JOB_GATHERING)
			return j;
	return NULL;
}

/* All parts are there? Then it waits for its turn. */
static void
look(struct job *j)
{
	const struct ask_filter *m = &j->ask;

	if (j->nrcpts < m->nrcpt || j->content.len < m->inline_size ||
	    (m->has_file && j->fd < 0))
		return;
	j->state = JOB_WAITING;
	loop_after(loop, &turn);
}

/* Texts of the question in memory of ours. */
static void
keep_texts(struct job *j)
{
	struct str *const texts[] = { &j->ask.msgid, &j->ask.from,
		&j->ask.client, &j->ask.client_name, &j->ask.listener,
		&j->ask.context, &j->ask.envid };

	enum { NTEXTS = sizeof(texts) / sizeof(texts[0]) };

	size_t len = 0;
	char *p;

	for (size_t i = 0; i < NTEXTS; i++)
		len += texts[i]->len;
	p = j->texts = xmalloc(len + 1);
	for (size_t i = 0; i < NTEXTS; i++) {
		if (texts[i]->len > 0)
			memcpy(p, texts[i]->p, texts[i]->len);
		texts[i]->p = p;
		p += texts[i]->len;
	}
}

static struct job *
job_new(const struct ask_filter *m, uint64_t id)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->loop = loop;
	j->id = id;
	j->ask = *m;
	j->fd = -1;
	keep_texts(j);
	memcpy(j->msgid, j->ask.msgid.p, j->ask.msgid.len);
	j->log = (struct log_ctx){ NULL, "msg", j->msgid };
	buf_init(&j->content, m->inline_size);
	facts_init(&j->facts);
	mail_events_init(&j->events);
	deferred_init(&j->reap, reap, j);
	TAILQ_INSERT_TAIL(&jobs, j, entry);
	njobs++;
	return j;
}

void
scan_queue_on_filter(
    void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_filter *m = msg;
	struct answer_filtered later = { .verdict = FILTERED_TEMPFAIL };
	struct job *j;

	(void)ctx;
	if (stopped)
		later.verdict = FILTERED_STOPPING;
	if (stopped || njobs >= SCANS_AT_ONCE + SCANS_WAITING) {
		channel_tell(ch, TYPE_answer_filtered, &later, id);
		return;
	}
	j = job_new(m, id);
	if (m->header_size > m->inline_size)
		job_fail(j, "malformed question");
	else
		look(j);
}

void
job_add_rcpt(struct job *j, const struct tell_rcpt *m)
{
	char *p =
	    xmalloc(m->to.len + m->action.len + m->orig.len + m->orcpt.len + 4);

	/* Room doubles with their number. */
	if ((j->nrcpts & (j->nrcpts - 1)) == 0)
		j->rcpts = xreallocarray(j->rcpts,
		    j->nrcpts == 0 ? 1 : j->nrcpts * 2, sizeof(*j->rcpts));
	j->rcpts[j->nrcpts++] = (struct job_rcpt){
		.to = str_place(&p, m->to),
		.action = str_place(&p, m->action),
		.orig = str_place(&p, m->orig),
		.orcpt = str_place(&p, m->orcpt),
		.start = m->start,
		.notify = m->notify,
	};
}

void
scan_queue_on_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_rcpt *m = msg;
	struct job *j = find(id);

	(void)ctx;
	(void)ch;
	if (j == NULL)
		return;
	if (j->nrcpts == j->ask.nrcpt) {
		job_fail(j, "malformed question");
		return;
	}
	job_add_rcpt(j, m);
	look(j);
}

void
scan_queue_on_body(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_body *m = msg;
	struct job *j = find(id);

	(void)ctx;
	(void)ch;
	if (j == NULL || j->fd >= 0 || !j->ask.has_file) {
		close(m->file);
		if (j != NULL)
			job_fail(j, "malformed question");
		return;
	}
	j->fd = m->file;
	look(j);
}

void
scan_queue_on_content(
    void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_content *m = msg;
	struct job *j = find(id);

	(void)ctx;
	(void)ch;
	if (j == NULL)
		return;
	buf_add_str(&j->content, m->bytes);
	if (j->content.failed)
		job_fail(j, "malformed question");
	else
		look(j);
}

/* --- the end --- */

void
scan_queue_lost(void)
{
	struct job *j;

	while ((j = TAILQ_FIRST(&jobs)) != NULL)
		job_end(j);
	timer_free(&again);
}

void
scan_queue_stop(void)
{
	struct job *j, *next;

	begun = false;
	stopped = true;
	TAILQ_FOREACH_SAFE(j, &jobs, entry, next) {
		if (j->state != JOB_GATHERING && j->state != JOB_WAITING)
			continue;
		job_set_verdict(j, FILTERED_STOPPING, NULL, NULL);
		job_answer(j);
	}
}

size_t
scan_queue_count(void)
{
	return njobs;
}
