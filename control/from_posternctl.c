/*
 * What comes in by the control socket: filters and questions, from somebody
 * who may be slow, silent or hostile. Whoever breaks the contract loses his
 * own connection (lib/ipc/channel.c) and nothing else.
 */
#include <stdio.h>
#include <stdlib.h>

#include "control/asker.h"
#include "control/router.h"
#include "edges/control_all.h"
#include "edges/edges.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

/* What those who do not read may take of the end: each, and all of them. */
enum { DRAIN_MS = 100, DROP_ALL_MS = 1000 };

static TAILQ_HEAD(askers, asker) askers = TAILQ_HEAD_INITIALIZER(askers);
static size_t naskers;
static size_t mail_bytes; /* of all */

static void
forget_terms(struct asker *a)
{
	for (size_t i = 0; i < a->nterms; i++)
		free((void *)(uintptr_t)a->terms[i].text.p);
	free(a->terms);
	a->terms = NULL;
	a->nterms = 0;
}

static void
on_tell_term(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct asker *a = ctx;
	const struct tell_term *t = msg;

	(void)ch;
	(void)id;
	if (a->nterms == ASKER_TERMS_MAX) {
		log_info(NULL, "control-dropped",
		    "uid=%u why=\"too many "
		    "filters\"",
		    (unsigned int)a->who.uid);
		asker_drop(a);
		return;
	}
	if (a->terms == NULL)
		a->terms = xcalloc(ASKER_TERMS_MAX, sizeof(*a->terms));
	a->terms[a->nterms++] = (struct term){ .kind = t->kind,
		.negate = t->negate,
		.number = t->number,
		.text = { str_dup(t->text), t->text.len } };
}

static void
forget_mail(struct asker *a)
{
	mail_bytes -= a->mail.len;
	buf_clear(&a->mail);
}

static void
on_tell_mail(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct asker *a = ctx;
	const struct tell_mail *m = msg;

	(void)ch;
	(void)id;
	/* Who may not ask what it belongs to need not be remembered. */
	if (!(a->who.permits & PERMIT_CONTENT))
		return;
	if (a->mail.len + m->bytes.len > ASKER_MAIL_MAX ||
	    mail_bytes + m->bytes.len > ASKER_MAILS_MAX) {
		log_info(NULL, "control-dropped", "uid=%u why=%s",
		    (unsigned int)a->who.uid, log_cstr("too much mail"));
		asker_drop(a);
		return;
	}
	buf_add_str(&a->mail, m->bytes);
	mail_bytes += m->bytes.len;
}

static void
on_tell_cancel(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct asker *a = ctx;
	struct request *r = route_find_request(a, id);

	(void)ch;
	(void)msg;
	if (r == NULL)
		return; /* it was answered meanwhile */
	route_cancel(&r);
	asker_answered(a);
}

static void
on_question(struct asker *a, uint16_t type, const void *msg, uint64_t id)
{
	if (!a->is_stalled)
		timer_stop(a->deadline);
	route_question(a, type, msg, id);
	if (a->is_dropped)
		return;
	forget_terms(a);
	forget_mail(a);
}

#define QUESTION_FUNCTION(ask, direction, phases, once)                  \
	static void on_##ask(                                            \
	    void *ctx, struct channel *ch, const void *msg, uint64_t id) \
	{                                                                \
		(void)ch;                                                \
		on_question(ctx, TYPE_##ask, msg, id);                   \
	}
CONTROL_QUESTIONS(QUESTION_FUNCTION)

#define QUESTION_HANDLER(ask, direction, phases, once) { TYPE_##ask, on_##ask },
static const struct handler handlers[] = { { TYPE_tell_term, on_tell_term },
	{ TYPE_tell_mail, on_tell_mail }, { TYPE_tell_cancel, on_tell_cancel },
	CONTROL_QUESTIONS(QUESTION_HANDLER){ 0, NULL } };

static void
reap(void *ctx)
{
	struct asker *a = ctx;

	timer_free(&a->deadline);
	free(a);
}

void
asker_drop(struct asker *a)
{
	struct request *r;

	if (a->is_dropped)
		return;
	a->is_dropped = true;
	while ((r = TAILQ_FIRST(&a->requests)) != NULL)
		route_cancel(&r);
	forget_terms(a);
	forget_mail(a);
	timer_stop(a->deadline);
	channel_free(&a->ch);
	TAILQ_REMOVE(&askers, a, link);
	naskers--;
	loop_after(a->loop, &a->reap);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ch;
	asker_drop(ctx);
}

static void
on_deadline(void *ctx)
{
	struct asker *a = ctx;

	/* Others waited for one who does not read; one who is silent harms
	 * nobody, and after an answer it is how a connection ends. */
	if (a->is_stalled)
		log_info(NULL, "control-dropped", "uid=%u pid=%d why=%s",
		    (unsigned int)a->who.uid, (int)a->who.pid,
		    log_cstr("does not read"));
	asker_drop(a);
}

static void
on_drained(void *ctx)
{
	struct asker *a = ctx;
	struct request *r;

	for (r = TAILQ_FIRST(&a->requests); r != NULL; r = TAILQ_NEXT(r, link))
		route_caught_up(r);
	if (!a->is_stalled)
		return;
	a->read_since_ms = loop_now_ms(a->loop);
	uint64_t took = a->read_since_ms - a->stalled_at_ms;
	a->stall_left_ms -= took < a->stall_left_ms ? took : a->stall_left_ms;
	a->is_stalled = false;
	timer_stop(a->deadline);
	for (r = TAILQ_FIRST(&a->requests); r != NULL; r = TAILQ_NEXT(r, link))
		route_resume(r);
	asker_answered(a);
}

struct asker *
asker_new(struct loop *l, int fd, const struct caller *who)
{
	struct asker *a = xcalloc(1, sizeof(*a));
	char name[64];

	a->loop = l;
	a->who = *who;
	a->stall_left_ms = ASKER_STALL_TOTAL_MS;
	a->read_since_ms = loop_now_ms(l);
	TAILQ_INIT(&a->requests);
	buf_init(&a->mail, ASKER_MAIL_MAX);
	deferred_init(&a->reap, reap, a);
	a->deadline = timer_new(l, on_deadline, a);
	timer_set(a->deadline, ASKER_QUESTION_MS);
	a->ch = channel_new(
	    l, fd, &control_all_edge, EDGE_B, handlers, on_closed, a);
	channel_on_drained(a->ch, on_drained, a);
	snprintf(name, sizeof(name), "uid %u pid %d", (unsigned int)who->uid,
	    (int)who->pid);
	channel_set_peer(a->ch, name);
	TAILQ_INSERT_TAIL(&askers, a, link);
	naskers++;
	return a;
}

struct channel *
asker_new_web(struct loop *l, int fd)
{
	struct caller who = { .uid = (uid_t)-1, .permits = PERMIT_VIEW };
	struct asker *a, *next;

	TAILQ_FOREACH_SAFE(a, &askers, link, next)
		if (a->is_process)
			asker_drop(a);
	a = asker_new(l, fd, &who);
	a->is_process = true;
	timer_stop(a->deadline);
	channel_set_peer(a->ch, role_name(ROLE_WEB));
	return a->ch;
}

/* A question may last for days, of which a reader may have missed a second
 * now and then. */
static void
grow_allowance(struct asker *a)
{
	uint64_t more = (a->stalled_at_ms - a->read_since_ms) / ASKER_READS_FOR;

	a->stall_left_ms += more;
	if (a->stall_left_ms > ASKER_STALL_TOTAL_MS)
		a->stall_left_ms = ASKER_STALL_TOTAL_MS;
}

void
asker_fed(struct asker *a)
{
	struct request *r;

	if (a->is_stalled || !channel_is_full(a->ch))
		return;
	a->is_stalled = true;
	a->stalled_at_ms = loop_now_ms(a->loop);
	grow_allowance(a);
	timer_set(a->deadline, a->stall_left_ms < ASKER_STALL_MS ?
				   a->stall_left_ms :
				   ASKER_STALL_MS);
	for (r = TAILQ_FIRST(&a->requests); r != NULL; r = TAILQ_NEXT(r, link))
		route_stall(r);
}

void
asker_answered(struct asker *a)
{
	if (a->nrequests == 0 && !a->is_stalled && !a->is_dropped &&
	    !a->is_process)
		timer_set(a->deadline, ASKER_QUESTION_MS);
}

void
asker_drop_all(void)
{
	uint64_t end = clock_mono_ms() + DROP_ALL_MS, now;
	struct asker *a;

	while ((a = TAILQ_FIRST(&askers)) != NULL) {
		now = clock_mono_ms();
		channel_drain(a->ch, now < end ? DRAIN_MS : 0);
		/* Draining may have found that it is gone. */
		if (a == TAILQ_FIRST(&askers))
			asker_drop(a);
	}
}

size_t
asker_count(void)
{
	return naskers;
}

size_t
asker_count_uid(uid_t uid)
{
	const struct asker *a;
	size_t n = 0;

	TAILQ_FOREACH(a, &askers, link)
		n += a->who.uid == uid;
	return n;
}
