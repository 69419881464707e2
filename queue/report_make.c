/* Whom a report tells what, and how it gets into the queue. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/envelope.h"
#include "lib/mail/header.h"
#include "lib/mail/path.h"
#include "queue/own_mail.h"
#include "queue/queue.h"
#include "queue/report_job.h"
#include "queue/wishes.h"

/* In the log, and in the trace. */
static const char *const kind_names[] = {
	[REPORT_FAILED] = "failed",
	[REPORT_DELAYED] = "delayed",
	[REPORT_DOUBLE] = "failed",
	[REPORT_SUCCESS] = "delivered",
};

/* What is known of the mail it is about; nothing when it cannot be read. */
struct original {
	bool is_there;
	struct str content;
	struct str wishes;
};

/* --- whom it concerns --- */

static bool
is_failed(const struct rcpt *r)
{
	return r->state == RCPT_BOUNCED && (r->marks & MARK_REPORT) != 0;
}

static bool
is_late(const struct rcpt *r)
{
	return (r->state == RCPT_ACTIVE || r->state == RCPT_DEFERRED) &&
	       (r->marks & MARK_WARNED) == 0 && rcpt_wants(r, NOTIFY_DELAY);
}

static bool
is_reached(const struct rcpt *r)
{
	return r->state == RCPT_DELIVERED && (r->marks & MARK_REPORT) != 0;
}

bool
report_concerns(const struct rcpt *r, enum report_kind kind)
{
	static bool (*const concerns[])(const struct rcpt *) = {
		[REPORT_FAILED] = is_failed,
		[REPORT_DELAYED] = is_late,
		[REPORT_DOUBLE] = is_failed,
		[REPORT_SUCCESS] = is_reached,
	};

	return concerns[kind](r);
}

bool
report_concerns_any(const struct entry *e, enum report_kind kind)
{
	for (uint32_t i = 0; i < e->nrcpt; i++)
		if (report_concerns(&e->rcpts[i], kind))
			return true;
	return false;
}

/* --- the recipients of a report --- */

/* Told, or after all not; the store hears of it. */
static void
set_told(struct report_job *job, bool told)
{
	bool late = job->kind == REPORT_DELAYED;
	enum rcpt_state end =
	    job->kind == REPORT_SUCCESS ? RCPT_DELIVERED : RCPT_BOUNCED;

	for (uint32_t i = 0; i < job->nrcpt; i++) {
		struct rcpt *r = job->rcpts[i];

		rcpt_unmark(r, late ? MARK_WARNED : MARK_REPORT);
		if (late && told)
			rcpt_mark(r, MARK_WARNED);
		else if (!late && !told && r->state == end)
			rcpt_mark(r, MARK_REPORT);
	}
	fate_record(job->q, job->entry, job->rcpts, job->nrcpt, 0);
}

static void
gather(struct report_job *job)
{
	struct entry *e = job->entry;

	free(job->rcpts);
	job->rcpts = xreallocarray(NULL, e->nrcpt, sizeof(struct rcpt *));
	job->nrcpt = 0;
	for (uint32_t i = 0; i < e->nrcpt; i++)
		if (report_concerns(&e->rcpts[i], job->kind))
			job->rcpts[job->nrcpt++] = &e->rcpts[i];
}

static void
describe(
    const struct report_job *job, struct wishes *w, struct report_rcpt *out)
{
	const struct queue *q = job->q;
	uint64_t now = queue_now_ms(q), wall = clock_wall_ms();
	uint64_t age = entry_age(job->entry, now), ttl;

	for (uint32_t i = 0; i < job->nrcpt; i++) {
		struct rcpt *r = job->rcpts[i];

		out[i] = (struct report_rcpt){
			.to = rcpt_to(r),
			.reply = word_str(r->reply),
			.relay = word_str(r->relay),
			.orcpt = wishes_orcpt(w, r->index),
			.relayed = (r->marks & MARK_RELAYED) != 0,
		};
		ttl = route_ttl_ms(&q->router, r);
		if (job->kind == REPORT_DELAYED)
			out[i].until_ms = wall + (ttl > age ? ttl - age : 0);
		else if (r->due_ms != 0)
			out[i].last_ms = wall - (now - r->due_ms);
	}
}

/* --- who is told --- */

static bool
is_usable(struct str address)
{
	struct path p;

	return address.len > 0 && address.len <= ENVELOPE_ADDRESS_MAX &&
	       path_split(address, &p) == 0;
}

/* Does the router take a report to this address? */
static bool
has_way(struct report_job *job, struct str to)
{
	struct route_decision d;

	if (!is_usable(to))
		return false;
	d = route_report(&job->q->router, to);
	if (d.action == NULL)
		return false;
	job->to = to;
	job->decision = d;
	return true;
}

/* A mail to the postmaster without a sender fails: the end of the line. */
static bool
is_postmasters(const struct entry *e, struct str postmaster)
{
	return e->from_len == 0 && e->nrcpt == 1 &&
	       str_eq_nocase(rcpt_to(&e->rcpts[0]), postmaster);
}

/* What is to be told, and whom; false: nobody. */
static bool
choose_whom(struct report_job *job)
{
	const struct entry *e = job->entry;
	struct str postmaster = str_of(job->q->config->postmaster);

	job->kind = report_concerns_any(e, REPORT_FAILED)  ? REPORT_FAILED :
		    report_concerns_any(e, REPORT_SUCCESS) ? REPORT_SUCCESS :
							     REPORT_DELAYED;
	if (has_way(job, entry_from(e)))
		return true;
	if (job->kind != REPORT_FAILED)
		return false;
	job->kind = REPORT_DOUBLE;
	return !is_postmasters(e, postmaster) && has_way(job, postmaster);
}

/* --- into the queue --- */

static void
log_double(const struct report_job *job)
{
	struct log_ctx ctx = { NULL, "msg", job->entry->msgid };

	for (uint32_t i = 0; i < job->nrcpt; i++)
		log_warn(&ctx, "double-bounce", "to=%s reply=%s",
		    log_str(rcpt_to(job->rcpts[i])),
		    log_str(word_str(job->rcpts[i]->reply)));
}

static void
log_report(const struct report_job *job)
{
	struct log_ctx ctx = { NULL, "msg", job->entry->msgid };
	struct trace_event ev = {
		.kind = TRACE_REPORT,
		.texts = { str_of(kind_names[job->kind]),
		    rcpt_to(&job->report->rcpts[0]),
		    { job->report->msgid, ID_LEN } },
	};

	trace_add(job->q->trace, job->entry->msgid, &ev);
	if (job->kind == REPORT_DOUBLE)
		log_double(job);
	log_info(&ctx, "report", "report=%s kind=%s to=%s nrcpt=%u",
	    job->report->msgid, kind_names[job->kind],
	    log_str(rcpt_to(&job->report->rcpts[0])), job->nrcpt);
}

static void
drop_content(struct report_job *job)
{
	free(job->content);
	job->content = NULL;
}

static void
on_committed(void *ctx, bool ok, struct store_ref ref)
{
	struct report_job *job = ctx;
	struct queue *q = job->q;

	if (ok) {
		log_report(job);
		q->reports.made++;
		queue_trace_accepted(q, job->report);
		queue_take_in(q, job->report, ref, job->content);
		job->content = NULL;
		job->report = NULL;
	} else {
		index_del(&q->index, &job->report);
		drop_content(job);
		set_told(job, false);
	}
	queue_check_limit(q);
	report_done(job, !ok);
}

static void
keep(struct report_job *job, const struct mail_record *m)
{
	struct queue *q = job->q;

	job->report = index_add(&q->index, m, queue_now_ms(q));
	if (job->report == NULL) {
		/* Its id is in use: another one next time. */
		drop_content(job);
		report_done(job, false);
		return;
	}
	/* That they failed, the report, that they were told, in this order:
	 * whatever of it a crash leaves, who was told of is not tried again,
	 * and who counts as told was. Without a place for the report nobody
	 * may count as that. */
	set_told(job, false);
	if (store_add_mail(q->store, m, on_committed, job) == 0)
		set_told(job, true);
	pace_soon(&q->pace);
}

static void
make(struct report_job *job, struct report *rep)
{
	struct queue *q = job->q;
	struct report_made made;
	struct own_mail mail;
	struct buf text;

	own_mail_init(&mail, q, rep->id, job->to, &job->decision);
	buf_init(&text, REPORT_MAX);
	report_build(rep, &text, &made);
	assert(!text.failed);
	job->nrcpt = made.nrcpt;
	job->content =
	    own_mail_set_text(&mail, buf_str(&text), made.header_size);
	buf_clear(&text);
	mail.record.received_ms = rep->now_ms;
	mail.record.seq = store_next_seq(q->store);
	/* RFC 8689 5 */
	mail.record.flags =
	    made.flags | (job->entry->flags & ENVELOPE_REQUIRETLS);
	keep(job, &mail.record);
	own_mail_clear(&mail);
}

/* Nobody is to be told, or can be. */
static void
tell_nobody(struct report_job *job)
{
	if (job->kind == REPORT_DOUBLE)
		log_double(job);
	set_told(job, true);
	report_done(job, false);
}

/* What some gateway told its postmaster ends here, whoever he is: two
 * postmasters who cannot be reached must not be told of each other. */
static bool
is_the_last(const struct report_job *job, struct str header)
{
	struct header_field f;
	size_t pos = 0;

	if (job->kind != REPORT_DOUBLE || job->entry->from_len > 0)
		return false;
	while (header_next(header, &pos, &f))
		if (str_eq_nocase(f.name, STR(REPORT_DOUBLE_FIELD)))
			return true;
	return false;
}

/* Does its sender get the body back, too? Only of what failed (RFC 3461 4.3),
 * and if it can be had without much ado. */
static bool
returns_body(const struct report_job *job, const struct original *o)
{
	const struct entry *e = job->entry;

	return job->kind == REPORT_FAILED && o->is_there &&
	       (e->flags & ENVELOPE_RET_FULL) != 0 &&
	       (e->flags & ENVELOPE_REQUIRETLS) == 0 && e->bodyfile == 0 &&
	       e->body_size <= REPORT_BODY_MAX;
}

static void
write_report(struct report_job *job, const struct original *o)
{
	struct entry *e = job->entry;
	struct str header = str_head(o->content, e->header_size);
	struct wishes w;
	struct report rep = {
		.hostname = str_of(job->q->config->hostname),
		.now_ms = clock_wall_ms(),
		.original_id = { e->msgid, ID_LEN },
		.from = entry_from(e),
		.arrival_ms = e->received_ms,
		.utf8 = (e->flags & ENVELOPE_SMTPUTF8) != 0,
		.has_header = o->is_there,
		.header = header,
		.returns_body = returns_body(job, o),
		.body = str_skip(o->content, header.len),
	};
	struct report_rcpt *rcpts;
	char id[ID_LEN + 1];

	if (is_the_last(job, header)) {
		tell_nobody(job);
		return;
	}
	rep.kind = job->kind;
	rep.to = job->to;
	id_new(rep.now_ms, id);
	rep.id = (struct str){ id, ID_LEN };
	rcpts = xreallocarray(NULL, job->nrcpt, sizeof(*rcpts));
	wishes_init(&w, o->wishes);
	rep.envid = wishes_envid(&w);
	describe(job, &w, rcpts);
	rep.rcpts = rcpts;
	rep.nrcpt = job->nrcpt;
	make(job, &rep);
	free(rcpts);
}

/* Decided with what holds now: the configuration may have changed while the
 * store was read. False: no report is to be made, and the job is done. */
static bool
decide(struct report_job *job)
{
	bool somebody = choose_whom(job);

	gather(job);
	/* Those it was begun for may be gone, and nobody is late. */
	if (job->nrcpt == 0 || (job->kind == REPORT_DELAYED && !job->late))
		report_done(job, false);
	else if (!somebody)
		tell_nobody(job);
	else
		return true;
	return false;
}

static void
on_read(void *ctx, const struct mail_record *m, const struct fault *why)
{
	struct report_job *job = ctx;
	struct log_ctx log = { NULL, "msg", job->entry->msgid };
	struct original o = { .content = STR(""), .wishes = STR("") };
	struct buf wishes;

	if (!decide(job))
		return;
	buf_init(&wishes, WISHES_MAX);
	if (m != NULL && m->content.len == entry_inline_size(job->entry)) {
		wishes_make(m, &wishes);
		o.is_there = true;
		o.content = m->content;
		o.wishes = buf_str(&wishes);
	} else {
		log_warn(&log, "unreadable", "why=%s",
		    log_cstr(m == NULL ? why->text : "its size is wrong"));
	}
	write_report(job, &o);
	buf_clear(&wishes);
}

void
report_make(struct report_job *job)
{
	struct queue *q = job->q;
	struct entry *e = job->entry;
	const struct content *content;
	struct original o;

	if (!decide(job))
		return;
	content = cache_get(&q->cache, e);
	if (content == NULL) {
		store_read(q->store, e->ref, on_read, job);
		return;
	}
	o = (struct original){
		.is_there = true,
		.content = { content->bytes, content->len },
		.wishes = content_wishes(content),
	};
	write_report(job, &o);
}
