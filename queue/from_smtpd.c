/* Commits and body files asked for by smtpd. */
#include "queue/from_smtpd.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/queue.h"

enum { BODYFILES_MAX = 65536 }; /* of one smtpd, not yet committed */

/* A body file that smtpd writes. */
struct bodyfile {
	LIST_ENTRY(bodyfile) next;
	uint64_t number;
};

/* A mail that was given to the store and waits for its commit. */
struct commit {
	LIST_ENTRY(commit) next;
	struct queue *q;
	struct smtpd_peer *peer; /* NULL: gone, nobody to answer */
	uint64_t id, asked_us;
	struct entry *entry;
	struct content *content; /* owned until it goes to the cache */
	struct replacement replacement;
};

/* --- answers --- */

static void
tell_refused(struct smtpd_peer *p, uint64_t id, enum queue_refusal why)
{
	struct answer_refused m = { .why = (uint8_t)why };

	channel_tell(p->channel, TYPE_answer_refused, &m, id);
}

/* What the store did not take. */
static enum queue_refusal
why_refused(const struct queue *q)
{
	return store_space(q->store, NULL) == SPACE_SHORT ? REFUSED_SPACE :
							    REFUSED_FAULT;
}

static void
tell_space_to(struct smtpd_peer *p, uint8_t space, uint64_t free_bytes)
{
	struct tell_space m = { .state = space, .free_bytes = free_bytes };

	channel_tell(p->channel, TYPE_tell_space, &m, 0);
}

void
from_smtpd_tell_space(struct queue *q, uint8_t space, uint64_t free_bytes)
{
	struct smtpd_peer *p;

	LIST_FOREACH(p, &q->smtpds, next)
		tell_space_to(p, space, free_bytes);
}

/* --- body files --- */

static struct bodyfile *
find_bodyfile(struct smtpd_peer *p, uint64_t number)
{
	struct bodyfile *b;

	LIST_FOREACH(b, &p->bodyfiles, next)
		if (b->number == number)
			return b;
	return NULL;
}

static void
forget_bodyfile(struct smtpd_peer *p, struct bodyfile *b)
{
	LIST_REMOVE(b, next);
	p->nbodyfiles--;
	free(b);
}

static void
on_ask_bodyfile(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct smtpd_peer *p = ctx;
	struct answer_bodyfile answer;
	struct bodyfile *b;
	int fd;

	(void)msg;
	if (p->nbodyfiles >= BODYFILES_MAX) {
		tell_refused(p, id, REFUSED_BUSY);
		return;
	}
	fd = store_bodyfile_new(p->q->store, &answer.bodyfile);
	if (fd == -1) {
		tell_refused(p, id, why_refused(p->q));
		return;
	}
	b = xmalloc(sizeof(*b));
	b->number = answer.bodyfile;
	LIST_INSERT_HEAD(&p->bodyfiles, b, next);
	p->nbodyfiles++;
	answer.file = fd;
	if (channel_tell(ch, TYPE_answer_bodyfile, &answer, id) != 0) {
		store_bodyfile_drop(p->q->store, b->number);
		forget_bodyfile(p, b);
		tell_refused(p, id, REFUSED_FAULT);
	}
	close(fd);
}

static void
on_bodyfile_dropped(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_bodyfile_dropped *m = msg;
	struct smtpd_peer *p = ctx;
	struct bodyfile *b = find_bodyfile(p, m->bodyfile);

	(void)ch;
	(void)id;
	if (b == NULL)
		return;
	store_bodyfile_drop(p->q->store, b->number);
	forget_bodyfile(p, b);
}

/* --- commits --- */

static void
commit_free(struct commit *c)
{
	if (c->peer != NULL)
		LIST_REMOVE(c, next);
	c->q->nintakes--;
	queue_check_stop(c->q);
	free(c->content);
	free(c);
}

/* It was to take another one's place, which is not there any more. */
static void
drop_entry(struct queue *q, struct entry *e)
{
	for (uint32_t i = 0; i < e->nrcpt; i++)
		fate_taken_over(q, &e->rcpts[i], NULL);
	fate_finish(q, e);
}

static void
keep_entry(struct commit *c, struct store_ref ref)
{
	struct answer_commit answer = { 0 };
	struct queue *q = c->q;

	if (c->peer != NULL)
		channel_tell(
		    c->peer->channel, TYPE_answer_commit, &answer, c->id);
	else
		log_info(&(struct log_ctx){ NULL, "msg", c->entry->msgid },
		    "kept", "reply=unsent");
	latency_add(&q->commit_times, clock_mono_us() - c->asked_us);
	if (c->replacement.seq == 0)
		queue_trace_accepted(q, c->entry);
	queue_take_in(q, c->entry, ref, c->content);
	c->content = NULL;
}

/* The store's word. */
static void
on_committed(void *ctx, bool ok, struct store_ref ref)
{
	struct commit *c = ctx;
	struct queue *q = c->q;
	const struct replacement *rep = &c->replacement;

	if (!ok) {
		index_del(&q->index, &c->entry);
		if (c->peer != NULL)
			tell_refused(c->peer, c->id, why_refused(q));
		queue_check_limit(q);
		commit_free(c);
		return;
	}
	c->entry->ref = ref;
	c->entry->committed = 1;
	if (rep->seq == 0 || refilter_replace(q, c->peer, c->entry, rep)) {
		keep_entry(c, ref);
	} else {
		drop_entry(q, c->entry);
		if (c->peer != NULL)
			tell_refused(c->peer, c->id, REFUSED_MALFORMED);
	}
	commit_free(c);
}

/* In the index, or NULL and what it is refused with. */
static struct entry *
add_entry(struct smtpd_peer *p, const struct mail_record *r,
    const struct replacement *rep, enum queue_refusal *why)
{
	bool in_place = rep->seq != 0;
	struct queue *q = p->q;
	struct bodyfile *b = NULL;
	struct entry *e;

	*why = REFUSED_SPACE;
	if (!in_place && queue_is_full(q))
		return NULL;
	*why = REFUSED_MALFORMED;
	if (r->bodyfile != 0 && r->bodyfile != rep->bodyfile) {
		b = find_bodyfile(p, r->bodyfile);
		if (b == NULL)
			return NULL;
	}
	e = (in_place ? index_add_beside : index_add)(
	    &q->index, r, queue_now_ms(q));
	if (e != NULL && b != NULL)
		forget_bodyfile(p, b);
	return e;
}

/* Nothing but a header: the body is in a file, and stays there. */
static int
keep_body(struct intake_mail *mail, const struct replacement *old)
{
	struct mail_record *r = &mail->record;

	if (r->bodyfile != 0 || r->header_size < r->content.len ||
	    mail->body_size == 0)
		return 0;
	if (old->bodyfile == 0 || mail->body_size != old->body_size)
		return -1;
	r->bodyfile = old->bodyfile;
	r->body_size = old->body_size;
	return 0;
}

/* A mail that is changed after all: in whose place it goes. -1: nobody asked
 * for it. new_id: room for one. */
static int
find_place(struct smtpd_peer *p, struct intake_mail *mail,
    struct replacement *out, char new_id[static ID_LEN + 1])
{
	struct log_ctx ctx = { NULL, "msg", new_id };

	*out = (struct replacement){ 0 };
	if (!mail->replaces)
		return 0;
	*out = refilter_expect(p->q, p, mail->record.msgid);
	if (out->seq == 0 || keep_body(mail, out) != 0)
		return -1;
	mail->record.user = out->user;
	mail->record.flags |= out->flags;
	if (mail->record.reason.len == 0) {
		mail->record.filter = out->filter;
		mail->record.reason = out->reason;
	}
	if (!out->apart)
		return 0;
	id_new(clock_wall_ms(), new_id);
	log_info(&ctx, "split", "from=%s", log_str(mail->record.msgid));
	mail->record.msgid = (struct str){ new_id, ID_LEN };
	return 0;
}

static void
log_surplus(const struct intake_mail *mail, struct str limit)
{
	char id[ID_LEN + 1] = "";
	struct log_ctx ctx = { NULL, "msg", id };

	memcpy(id, mail->record.msgid.p, ID_LEN);
	log_warn(&ctx, "held", "user=%s limit=%s nrcpt=%u",
	    log_str(mail->record.user), log_str(limit), mail->record.nrcpt);
}

/* "4.7.0 held: jane sent more than 200/1h" */
static void
say_surplus(struct buf *out, struct str user, struct str limit)
{
	buf_add_str(out, STR("4.7.0 held: "));
	for (size_t i = 0; i < user.len; i++)
		buf_add_char(out,
		    user.p[i] >= ' ' && user.p[i] <= '~' ? user.p[i] : '?');
	buf_add_str(out, STR(" sent more than "));
	buf_add_str(out, limit);
}

/* Too much of this user: kept, but it goes nowhere until somebody has looked
 * at it. why: room for the reason. */
static void
hold_surplus(struct queue *q, struct intake_mail *mail, struct buf *why)
{
	const struct limits *l = &q->config->limits;
	struct mail_record *m = &mail->record;
	struct buf limit;

	if (mail->replaces || user_rate_take(&q->user_rates, l,
				  mail->record.user, m->nrcpt, queue_now_ms(q)))
		return;
	buf_init(&limit, 64);
	user_rate_format(l, &limit);
	log_surplus(mail, buf_str(&limit));
	say_surplus(why, mail->record.user, buf_str(&limit));
	buf_clear(&limit);
	m->held = buf_str(why);
	for (uint32_t i = 0; i < m->nrcpt; i++)
		if (mail->rcpts[i].start != START_QUARANTINED)
			mail->rcpts[i].start |= MAIL_RCPT_HELD;
}

static void
add_mail(struct smtpd_peer *p, uint64_t id, struct intake_mail *mail)
{
	struct queue *q = p->q;
	enum queue_refusal why = REFUSED_MALFORMED;
	char new_id[ID_LEN + 1];
	struct buf held;
	struct replacement rep;
	struct entry *e = NULL;
	struct commit *c;

	mail->record.seq = store_next_seq(q->store);
	buf_init(&held, 512);
	if (find_place(p, mail, &rep, new_id) == 0) {
		hold_surplus(q, mail, &held);
		e = add_entry(p, &mail->record, &rep, &why);
	}
	if (e == NULL) {
		buf_clear(&held);
		tell_refused(p, id, why);
		intake_mail_clear(mail);
		return;
	}
	c = xmalloc(sizeof(*c));
	*c = (struct commit){
		.q = q, .peer = p, .id = id, .entry = e, .replacement = rep
	};
	c->asked_us = mail->asked_us;
	c->content = mail->content;
	LIST_INSERT_HEAD(&p->commits, c, next);
	q->nintakes++;
	store_add_mail(q->store, &mail->record, on_committed, c);
	mail->content = NULL;
	buf_clear(&held);
	intake_mail_clear(mail);
	pace_soon(&q->pace);
	queue_check_limit(q);
}

static void
go_on(struct smtpd_peer *p, uint64_t id, enum intake_result result,
    struct intake_mail *mail)
{
	switch (result) {
	case INTAKE_WHOLE:
		add_mail(p, id, mail);
		break;
	case INTAKE_MALFORMED:
		tell_refused(p, id, REFUSED_MALFORMED);
		break;
	case INTAKE_BUSY:
		tell_refused(p, id, REFUSED_BUSY);
		break;
	case INTAKE_MORE:
	case INTAKE_UNKNOWN:
		break;
	}
}

static void
on_ask_commit(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct smtpd_peer *p = ctx;
	struct intake_mail mail;

	(void)ch;
	go_on(p, id, intake_begin(&p->intakes, id, msg, &mail), &mail);
}

static void
on_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct smtpd_peer *p = ctx;
	struct intake_mail mail;

	(void)ch;
	go_on(p, id, intake_add_rcpt(&p->intakes, id, msg, &mail), &mail);
}

static void
on_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct smtpd_peer *p = ctx;
	struct intake_mail mail;

	(void)ch;
	go_on(p, id, intake_add_content(&p->intakes, id, msg, &mail), &mail);
}

/* Of a mail that comes in, or of one that is filtered. */
static void
on_event(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_event *m = msg;
	struct smtpd_peer *p = ctx;
	struct str msgid = intake_msgid(&p->intakes, id);
	const char *of = msgid.len > 0 ? msgid.p : refilter_msgid(p->q, p, id);
	struct trace_event ev = {
		.kind = TRACE_TOLD,
		.when_ms = m->when_ms,
		.texts = { m->event, m->text },
	};

	(void)ch;
	if (of != NULL)
		trace_add(p->q->trace, of, &ev);
}

static void
on_drained(void *ctx)
{
	struct smtpd_peer *p = ctx;

	refilter_run_soon(p->q);
}

static const struct handler handlers[] = {
	{ TYPE_ask_bodyfile, on_ask_bodyfile },
	{ TYPE_tell_bodyfile_dropped, on_bodyfile_dropped },
	{ TYPE_ask_commit, on_ask_commit },
	{ TYPE_tell_rcpt, on_rcpt },
	{ TYPE_tell_content, on_content },
	{ TYPE_tell_event, on_event },
	{ 0, NULL },
};

/* --- the channel --- */

/* Its unfinished mail goes, what the store already has stays. */
static void
peer_free(struct smtpd_peer *p)
{
	struct queue *q = p->q;
	struct bodyfile *b;
	struct commit *c;

	if (p->intakes.count > 0 || p->nbodyfiles > 0)
		log_info(NULL, "dropped",
		    "peer=smtpd mails=%u files=%u aborted=peer-process",
		    p->intakes.count, p->nbodyfiles);
	intakes_clear(&p->intakes);
	while ((b = LIST_FIRST(&p->bodyfiles)) != NULL) {
		/* It is out of the list once it is freed. */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		store_bodyfile_drop(q->store, b->number);
		forget_bodyfile(p, b);
	}
	while ((c = LIST_FIRST(&p->commits)) != NULL) {
		LIST_REMOVE(c, next);
		c->peer = NULL;
	}
	LIST_REMOVE(p, next);
	refilter_lose(q, p);
	channel_free(&p->channel);
	free(p);
	queue_check_stop(q);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ch;
	peer_free(ctx);
}

static void
welcome(struct smtpd_peer *p)
{
	uint64_t free_bytes;
	uint8_t space = queue_space(p->q, &free_bytes);

	tell_space_to(p, space, free_bytes);
	pauses_tell(p->q, p);
	blocks_tell_all(p->q, p);
}

struct channel *
from_smtpd_add(struct queue *q, uint16_t instance, int socket)
{
	struct smtpd_peer *p, *next;
	char name[32];

	for (p = LIST_FIRST(&q->smtpds); p != NULL; p = next) {
		next = LIST_NEXT(p, next);
		if (p->instance == instance)
			peer_free(p);
	}
	p = xcalloc(1, sizeof(*p));
	p->q = q;
	p->instance = instance;
	intakes_init(&p->intakes);
	LIST_INIT(&p->bodyfiles);
	LIST_INIT(&p->commits);
	p->channel = channel_new(
	    q->loop, socket, &smtpd_queue_edge, EDGE_B, handlers, on_closed, p);
	snprintf(name, sizeof(name), "smtpd/%u", (unsigned int)instance);
	channel_set_peer(p->channel, name);
	channel_on_drained(p->channel, on_drained, p);
	LIST_INSERT_HEAD(&q->smtpds, p, next);
	if (q->started)
		welcome(p);
	else
		channel_pause(p->channel);
	refilter_run_soon(q);
	return p->channel;
}

void
from_smtpd_resume(struct queue *q)
{
	struct smtpd_peer *p;

	LIST_FOREACH(p, &q->smtpds, next) {
		channel_resume(p->channel);
		welcome(p);
	}
	refilter_run_soon(q);
}
