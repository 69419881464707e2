/* Gives a work to an agent, and takes its results back. */
#include "queue/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "queue/body_pass.h"
#include "queue/wishes.h"

static int
cmp_id(const struct work *a, const struct work *b)
{
	return (a->id > b->id) - (a->id < b->id);
}

/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed ones are out of it */
TREE_DEFINE(work_tree, work, by_id, cmp_id)

struct work *
work_find(struct agent_peer *p, uint64_t id)
{
	struct work key;

	key.id = id;
	return RB_FIND(work_tree, &p->works, &key);
}

/* --- the end of a work --- */

/* Off the agent's hands; the scheduler hears of it. */
static void
work_free(struct work *w, enum work_end end)
{
	struct queue *q = w->q;

	if (w->peer != NULL) {
		RB_REMOVE(work_tree, &w->peer->works, w);
		schedule_done(&q->schedule, &w->flight, end, queue_now_ms(q));
		q->nworks--;
		queue_run_soon(q);
		queue_check_stop(q);
	}
	fate_release(q, w->entry);
	free(w);
}

static struct rcpt *
take_rcpt(struct work *w, struct rcpt *r)
{
	TAILQ_REMOVE(&w->rcpts, r, link);
	r->place = PLACE_NONE;
	r->in.work = NULL;
	return r;
}

/* All that have no result yet. */
static void
defer_rest(struct work *w, const char *why)
{
	struct heard h = { .reply = str_of(why) };
	struct rcpt *r;

	while ((r = TAILQ_FIRST(&w->rcpts)) != NULL)
		fate_deferred(w->q, take_rcpt(w, r), &h);
}

/* --- sending it --- */

static int
tell_recipients(struct work *w, struct wishes *wishes)
{
	struct channel *ch = w->peer->channel;
	struct rcpt *r;

	TAILQ_FOREACH(r, &w->rcpts, link) {
		struct tell_work_rcpt m = {
			.index = r->index,
			.attempts = r->attempts,
			.to = rcpt_to(r),
			.notify = r->notify,
			.orcpt = wishes_orcpt(wishes, r->index),
		};

		if (channel_tell(ch, TYPE_tell_work_rcpt, &m, w->id) != 0)
			return -1;
	}
	return 0;
}

static int
tell_bytes(struct work *w, struct str content)
{
	while (content.len > 0) {
		struct tell_work_content m = { .bytes = str_head(content,
						   CHANNEL_CONTENT_MAX) };

		if (channel_tell(w->peer->channel, TYPE_tell_work_content, &m,
			w->id) != 0)
			return -1;
		content = str_skip(content, m.bytes.len);
	}
	return 0;
}

static int
tell_body(struct work *w, struct body_pass *b)
{
	struct tell_work_file m = { .file = body_pass_fd(b) };

	if (m.file == -1)
		return 0;
	return channel_tell(w->peer->channel, TYPE_tell_work_file, &m, w->id);
}

static int
tell_head(struct work *w, struct str content, const struct wishes *wishes)
{
	struct entry *e = w->entry;
	struct tell_work m = {
		.msgid = { e->msgid, ID_LEN },
		.from = entry_from(e),
		.flags = e->flags,
		.action = word_str(w->flight.destination->action),
		.hops = w->flight.destination->hops,
		.domain = rcpt_domain(TAILQ_FIRST(&w->rcpts)),
		.received_ms = e->received_ms,
		.nrcpt = w->nrcpt,
		.header_size = e->header_size,
		.inline_size = (uint32_t)content.len,
		.body_size = e->body_size,
		.in_file = e->bodyfile != 0,
		.envid = wishes_envid(wishes),
	};

	return channel_tell(w->peer->channel, TYPE_tell_work, &m, w->id);
}

static void
log_unreadable(struct work *w, const char *why)
{
	struct log_ctx ctx = { NULL, "msg", w->entry->msgid };

	log_warn(&ctx, "unreadable", "why=%s", log_cstr(why));
}

/* The content cannot be had: nobody's bounce. Tried again, and held when it
 * is damaged or its time is over. */
static void
work_unreadable(struct work *w, const struct fault *why)
{
	struct heard h = { .reply =
			       STR("4.3.0 the stored message cannot be read") };
	struct rcpt *r;

	log_unreadable(w, why->text);
	while ((r = TAILQ_FIRST(&w->rcpts)) != NULL) {
		take_rcpt(w, r);
		if (why->class != FAULT_PERM)
			fate_unread(w->q, r, &h);
		else if (!fate_wished(w->q, r))
			fate_held(
			    w->q, r, "4.3.0 the stored message is damaged");
	}
	work_free(w, WORK_LOST);
}

static void
work_send(struct work *w, struct str content, struct str block)
{
	struct fault f = { .class = FAULT_OURS };
	struct agent_peer *p = w->peer;
	struct body_pass body;
	struct wishes wishes;

	if (content.len != entry_inline_size(w->entry)) {
		fault_set(&f, FAULT_PERM, "its size is not the recorded one");
		work_unreadable(w, &f);
		return;
	}
	if (body_pass_open(w->q->store, w->entry->bodyfile, &body) != 0) {
		fault_errno(&f, FAULT_OURS, "its body file cannot be opened");
		work_unreadable(w, &f);
		return;
	}
	wishes_init(&wishes, block);
	if (tell_head(w, content, &wishes) != 0) {
		body_pass_close(&body);
		if (!channel_is_open(p->channel))
			return; /* its end gives all works back */
		fault_set(&f, FAULT_PERM, "its envelope does not fit");
		work_unreadable(w, &f);
		return;
	}
	if (tell_recipients(w, &wishes) == 0 && tell_body(w, &body) == 0)
		tell_bytes(w, content);
	body_pass_close(&body);
	p->agent.blocked = channel_is_full(p->channel);
}

/* More works of this message are to come? Then they find it in the cache. */
static void
keep_content(struct work *w, struct str bytes, struct str wishes)
{
	struct content *content;

	if (bytes.len > UINT32_MAX || w->entry->content != NULL ||
	    TAILQ_NEXT(TAILQ_FIRST(&w->rcpts), link) != NULL ||
	    w->entry->nactive <= w->nrcpt)
		return;
	content = content_new((uint32_t)bytes.len);
	memcpy(content->bytes, bytes.p, bytes.len);
	content_set_wishes(&content, wishes);
	cache_put(&w->q->cache, w->entry, content);
}

/* The store read the message for us. */
static void
on_read(void *ctx, const struct mail_record *m, const struct fault *why)
{
	struct work *w = ctx;
	struct buf wishes;

	w->reading = false;
	if (w->peer == NULL) {
		/* The agent died meanwhile and the recipients went back. */
		work_free(w, WORK_LOST);
		return;
	}
	if (m == NULL) {
		work_unreadable(w, why);
		return;
	}
	buf_init(&wishes, WISHES_MAX);
	wishes_make(m, &wishes);
	keep_content(w, m->content, buf_str(&wishes));
	work_send(w, m->content, buf_str(&wishes));
	buf_clear(&wishes);
}

void
work_start(void *ctx, struct destination *d, struct agent *a,
    struct rcpt_list *rcpts, uint32_t nrcpt)
{
	struct queue *q = ctx;
	struct agent_peer *p = a->owner;
	struct work *w = xmalloc(sizeof(*w));
	struct content *content;
	struct rcpt *r;

	*w = (struct work){
		.id = ++p->next_id,
		.q = q,
		.entry = rcpt_entry(TAILQ_FIRST(rcpts)),
		.peer = p,
		.nrcpt = nrcpt,
	};
	TAILQ_INIT(&w->rcpts);
	TAILQ_CONCAT(&w->rcpts, rcpts, link);
	TAILQ_FOREACH(r, &w->rcpts, link) {
		r->place = PLACE_WORK;
		r->in.work = w;
	}
	schedule_begin(&q->schedule, &w->flight, d, a, queue_now_ms(q));
	RB_INSERT(work_tree, &p->works, w);
	q->nworks++;
	fate_keep(w->entry);
	content = cache_get(&q->cache, w->entry);
	if (content != NULL) {
		work_send(w, (struct str){ content->bytes, content->len },
		    content_wishes(content));
		return;
	}
	w->reading = true;
	store_read(q->store, w->entry->ref, on_read, w);
}

/* --- results --- */

/* The reply as it is kept and shown: code, enhanced status, text. */
static struct str
full_reply(const struct tell_result *m, char *out, size_t size)
{
	struct str text = m->reply;
	int n;

	if (m->status.len > 0 && str_starts_nocase(text, m->status))
		text = str_trim(str_skip(text, m->status.len));
	if (m->code != 0)
		n = snprintf(out, size, "%u %.*s %.*s", (unsigned int)m->code,
		    (int)m->status.len, m->status.p, (int)text.len, text.p);
	else
		n = snprintf(out, size, "%.*s %.*s", (int)m->status.len,
		    m->status.p, (int)text.len, text.p);
	if (n < 0)
		n = 0;
	return str_trim(
	    (struct str){ out, (size_t)n < size ? (size_t)n : size - 1 });
}

static void (*const outcomes[])(
    struct queue *, struct rcpt *, const struct heard *) = {
	[OUTCOME_DELIVERED] = fate_delivered,
	[OUTCOME_DEFERRED] = fate_deferred,
	[OUTCOME_FAILED] = fate_bounced,
};

void
work_result(struct work *w, const struct tell_result *m)
{
	struct entry *e = w->entry;
	char text[600];
	struct heard h = {
		.relay = m->relay,
		.tls = m->tls,
		.possible_duplicate = m->possible_duplicate != 0,
		.handover = m->handover,
	};
	struct rcpt *r;

	if (w->reading || m->index >= e->nrcpt)
		return;
	r = &e->rcpts[m->index];
	if (r->place != PLACE_WORK || r->in.work != w)
		return;
	h.reply = full_reply(m, text, sizeof(text));
	if (m->outcome == OUTCOME_DEFERRED)
		schedule_set_reply(
		    &w->q->schedule, w->flight.destination, h.reply);
	outcomes[m->outcome](w->q, take_rcpt(w, r), &h);
}

void
work_done(struct work *w, const struct tell_done *m)
{
	if (w->reading)
		return;
	defer_rest(w, "4.3.0 the delivery agent gave no result");
	work_free(w, m->unreachable ? WORK_UNREACHABLE : WORK_DONE);
}

/* --- the agent dies --- */

/* It has its turn again at once, by the configuration of today; but not the
 * second time that it was begun: perhaps it is what the agents die of. */
static void
rcpt_lose(struct work *w, struct rcpt *r)
{
	const struct heard h = {
		.reply = STR("4.3.0 the delivery agent died"),
	};
	bool begun = !w->reading && !w->peer->left;
	bool again = (r->marks & MARK_DUPLICATE) != 0;

	take_rcpt(w, r);
	if (begun)
		rcpt_mark(r, MARK_DUPLICATE);
	/* An administrator's wish is fulfilled between two tries. */
	if (fate_wished(w->q, r))
		return;
	if (again && begun)
		fate_deferred(w->q, r, &h);
	else
		queue_send_rcpt_first(w->q, r);
}

static void
work_lose(struct agent_peer *p, struct work *w)
{
	struct queue *q = p->q;
	struct rcpt *r;

	while ((r = TAILQ_LAST(&w->rcpts, rcpt_list)) != NULL)
		rcpt_lose(w, r);
	RB_REMOVE(work_tree, &p->works, w);
	schedule_done(&q->schedule, &w->flight, WORK_LOST, queue_now_ms(q));
	q->nworks--;
	w->peer = NULL;
	if (!w->reading)
		work_free(w, WORK_LOST);
}

void
work_lose_all(struct agent_peer *p)
{
	struct queue *q = p->q;
	struct work *w;

	/* The first is the last that goes to the front of its line. */
	while ((w = RB_MAX(work_tree, &p->works)) != NULL)
		work_lose(p, w);
	queue_run_soon(q);
	queue_check_stop(q);
}
