/*
 * The life of a question: asked of one process or of all, rows handed on as
 * they come, answered once.
 */
#include "control/router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/answerer.h"
#include "control/asker.h"
#include "control/counters.h"
#include "control/questions.h"
#include "control/sum.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

static const char *const code_names[] = {
	[ANSWER_OK] = "ok",
	[ANSWER_REFUSED_IT] = "refused",
	[ANSWER_NOT_FOUND] = "not-found",
	[ANSWER_UNAVAILABLE] = "unavailable",
};

static struct counter counters[] = {
	[CONTROL_CONNECTIONS] = { "control.connections", 0 },
	[CONTROL_TURNED_AWAY] = { "control.turned_away", 0 },
	[CONTROL_ASKED] = { "control.questions", 0 },
	[CONTROL_REFUSED] = { "control.refused", 0 },
	[CONTROL_COUNTERS] = { NULL, 0 },
};

/* Those that go on until somebody ends them. */
static TAILQ_HEAD(, request) lasting = TAILQ_HEAD_INITIALIZER(lasting);
static size_t nrequests;
static char *submit_path;
static void (*on_idle)(void);

struct counter *
control_counters(void)
{
	return counters;
}

/* --- the end of a request --- */

static void
request_log(const struct request *r)
{
	const char *reason = r->reason == NULL ? "" : r->reason;
	unsigned int uid = (unsigned int)r->asker->who.uid;

	/* Who did what was asked has logged it. */
	if (!(r->route->permits & PERMIT_CHANGE) || r->end.code == ANSWER_OK) {
		log_debug(NULL, "control", "uid=%u question=%s answer=%s", uid,
		    r->what, code_names[r->end.code]);
		return;
	}
	log_info(NULL, "control",
	    "uid=%u question=%s answer=%s matched=%llu changed=%llu "
	    "operation=%llu reason=%s",
	    uid, r->what, code_names[r->end.code],
	    (unsigned long long)r->end.matched,
	    (unsigned long long)r->end.changed,
	    (unsigned long long)r->end.operation, log_cstr(reason));
}

static void
leg_end(struct leg *leg)
{
	if (leg->answerer == NULL)
		return;
	TAILQ_REMOVE(&leg->answerer->legs, leg, link);
	if (leg->is_paused)
		answerer_resume(leg->answerer);
	leg->is_paused = false;
	leg->answerer = NULL;
	leg->request->nopen--;
}

/* A word came, or may come again: who was asked has so long for the next. */
static void
expect_word(struct request *r)
{
	if (r->route->silence_ms > 0)
		timer_set(r->silence, r->route->silence_ms);
}

static void
request_free(struct request *r)
{
	struct leg *leg;

	while ((leg = SLIST_FIRST(&r->legs)) != NULL) {
		SLIST_REMOVE_HEAD(&r->legs, next);
		free(leg);
	}
	if (r->network != NULL)
		TAILQ_REMOVE(&lasting, r, lasting);
	free(r->network);
	TAILQ_REMOVE(&r->asker->requests, r, link);
	r->asker->nrequests--;
	timer_free(&r->silence);
	sum_free(&r->sum);
	free(r->reason);
	free(r);
	if (--nrequests == 0 && on_idle != NULL)
		on_idle();
}

static void
set_end(struct request *r, enum answer_code code, struct str text)
{
	size_t n =
	    text.len < sizeof(r->end_text) ? text.len : sizeof(r->end_text);

	if (n > 0)
		memcpy(r->end_text, text.p, n);
	r->end.code = (uint8_t)code;
	r->end.text = (struct str){ r->end_text, n };
}

static void
tell_sum(void *ctx, struct str name, struct str process, uint64_t value)
{
	struct request *r = ctx;
	struct row_stat row = {
		.name = name, .process = process, .value = value
	};

	channel_tell(r->asker->ch, TYPE_row_stat, &row, r->id);
}

static void
request_finish(struct request *r)
{
	struct asker *a = r->asker;

	if (r->sum != NULL)
		sum_each(r->sum, tell_sum, r);
	channel_tell(a->ch, TYPE_answer_done, &r->end, r->id);
	request_log(r);
	request_free(r);
	asker_fed(a);
	asker_answered(a);
}

struct request *
route_find_request(const struct asker *a, uint64_t id)
{
	struct request *r;

	TAILQ_FOREACH(r, &a->requests, link)
		if (r->id == id)
			return r;
	return NULL;
}

/* Whoever has not answered need not any more. */
static void
legs_cancel(struct request *r)
{
	struct leg *leg;

	SLIST_FOREACH(leg, &r->legs, next)
	{
		if (leg->answerer == NULL)
			continue;
		channel_cancel(leg->answerer->ch, leg->id);
		/* Else he goes on for ever. */
		if (r->route->silence_ms == 0)
			channel_tell(leg->answerer->ch, TYPE_tell_cancel,
			    &(struct tell_cancel){ 0 }, leg->id);
		leg_end(leg);
	}
}

void
route_cancel(struct request **rp)
{
	struct request *r = *rp;

	*rp = NULL;
	legs_cancel(r);
	request_free(r);
}

/* Of several who were asked: one that has it is enough, and that it is not
 * there is known when nobody has it. */
static const int ranks[] = {
	[ANSWER_NOT_FOUND] = 1,
	[ANSWER_UNAVAILABLE] = 2,
	[ANSWER_REFUSED_IT] = 3,
	[ANSWER_OK] = 4,
};

static void
merge_end(struct request *r, const struct answer_done *m)
{
	int before = r->is_answered ? ranks[r->end.code] : 0;

	if (before == ranks[ANSWER_OK] && m->code == ANSWER_OK) {
		r->end.matched += m->matched;
		r->end.changed += m->changed;
	}
	if (ranks[m->code] <= before)
		return;
	r->is_answered = true;
	r->end = *m;
	set_end(r, (enum answer_code)m->code, m->text);
}

/* The answer of one process, or the news that it died. */
static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_done gone = { .code = ANSWER_UNAVAILABLE,
		.text = STR("temporarily unavailable") };
	struct leg *leg = ctx;
	struct request *r = leg->request;
	bool is_retired = leg->answerer->instance >= INSTANCE_RETIRED;

	leg_end(leg);
	/* Of numbers, what those that are there know is an answer. */
	if (r->sum == NULL)
		merge_end(
		    r, fault != NULL || type != TYPE_answer_done ? &gone : msg);
	/* Who looks on must not miss a part of it and think it is all. A
	 * retired process has nothing left to be missed. */
	if (r->route->silence_ms == 0 && !is_retired)
		legs_cancel(r);
	if (r->nopen == 0)
		request_finish(r);
}

void
route_gone(struct leg_list *legs, struct channel *ch)
{
	struct fault gone;
	struct leg *leg, *next;

	fault_set(&gone, FAULT_OURS, "%s is gone", channel_peer(ch));
	/* A request has one leg at a process: what ends here frees no other
	 * leg of the list. */
	for (leg = TAILQ_FIRST(legs); leg != NULL; leg = next) {
		next = TAILQ_NEXT(leg, link);
		channel_cancel(ch, leg->id);
		on_answer(leg, &gone, 0, NULL);
	}
}

static void
on_silence(void *ctx)
{
	const struct answer_done late = { .code = ANSWER_UNAVAILABLE,
		.text = STR("temporarily unavailable: no answer in time") };
	struct request *r = ctx;
	struct leg *leg;

	SLIST_FOREACH(leg, &r->legs, next)
	{
		if (leg->answerer == NULL)
			continue;
		log_warn(NULL, "silent", "peer=%s instance=%u question=%s",
		    log_cstr(role_name(leg->answerer->role)),
		    leg->answerer->instance, r->what);
		channel_cancel(leg->answerer->ch, leg->id);
		leg_end(leg);
	}
	if (r->sum == NULL)
		merge_end(r, &late);
	request_finish(r);
}

/* --- its beginning --- */

static void
send_terms(const struct asker *a, struct channel *ch)
{
	for (size_t i = 0; i < a->nterms; i++) {
		const struct term *t = &a->terms[i];
		struct tell_term m = { .kind = t->kind,
			.negate = t->negate,
			.text = t->text,
			.number = t->number };
		channel_tell(ch, TYPE_tell_term, &m, 0);
	}
}

/* One that is over is used again: those of a request that lasts would become
 * ever more. */
static struct leg *
leg_new(struct request *r)
{
	struct leg *leg;

	SLIST_FOREACH(leg, &r->legs, next)
	{
		if (leg->answerer == NULL)
			return leg;
	}
	leg = xcalloc(1, sizeof(*leg));
	leg->request = r;
	SLIST_INSERT_HEAD(&r->legs, leg, next);
	return leg;
}

static void
leg_start(struct request *r, struct answerer *to, const void *msg)
{
	struct leg *leg = leg_new(r);

	leg->answerer = to;
	TAILQ_INSERT_TAIL(&to->legs, leg, link);
	r->nopen++;
	if (r->route->has_terms)
		send_terms(r->asker, to->ch);
	leg->id = (r->route->send != NULL ? r->route->send : question_send)(
	    r, to->ch, msg, on_answer, leg);
}

/* A number of a process. */
static void
gather(struct request *r, enum role role, uint16_t instance, struct str name,
    uint64_t value)
{
	char text[32] = "";

	if (r->is_apart)
		snprintf(
		    text, sizeof(text), "%s/%u", role_name(role), instance);
	sum_add(r->sum, name, str_of(text), value);
}

static void
gather_own(struct request *r)
{
	const struct channel_totals *t = channel_totals();
	const struct counter own[] = {
		{ "log.lost", log_lost() },
		{ "control.ipc_sent", t->sent },
		{ "control.ipc_received", t->received },
		{ "control.ipc_sends", t->send_calls },
		{ "control.ipc_receives", t->receive_calls },
	};

	for (const struct counter *c = counters; c->name != NULL; c++)
		gather(r, ROLE_CONTROL, 0, str_of(c->name), c->value);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		gather(r, ROLE_CONTROL, 0, str_of(own[i].name), own[i].value);
	if (r->is_apart)
		return;
	/* There also while no resolver runs. */
	sum_add(r->sum, STR("resolver.queries"), STR(""), 0);
	sum_add(r->sum, STR("resolver.cache_hits"), STR(""), 0);
	sum_add(r->sum, STR("resolver.dnssec"), STR(""), 0);
}

static bool
is_asked(const struct route *route, const struct answerer *a)
{
	return route->target == TO_ALL || a->role == route->role;
}

static void
start_legs(struct request *r, const void *msg)
{
	struct answerer *to;

	if (r->route->target == TO_ROLE) {
		if ((to = answerer_find(r->route->role)) != NULL)
			leg_start(r, to, msg);
		return;
	}
	if (r->route->target == TO_ALL) {
		r->sum = sum_new();
		r->is_apart = r->route->type == TYPE_ask_stats &&
			      ((const struct ask_stats *)msg)->apart != 0;
		gather_own(r);
	}
	for (to = answerer_next(NULL); to != NULL; to = answerer_next(to))
		if (is_asked(r->route, to))
			leg_start(r, to, msg);
}

static void
keep_lasting(struct request *r, const struct ask_follow *m)
{
	r->network = str_dup(m->network);
	TAILQ_INSERT_TAIL(&lasting, r, lasting);
}

void
route_joined(struct answerer *a)
{
	struct request *r;

	TAILQ_FOREACH(r, &lasting, lasting) {
		struct ask_follow m = { .network = str_of(r->network) };

		if (!is_asked(r->route, a))
			continue;
		leg_start(r, a, &m);
		if (r->asker->is_stalled)
			route_stall(r);
	}
}

/* Without a word to anybody else. */
static void
answer_now(struct asker *a, uint64_t id, enum answer_code code, struct str why)
{
	struct answer_done m = { .code = (uint8_t)code, .text = why };

	channel_tell(a->ch, TYPE_answer_done, &m, id);
	asker_fed(a);
	asker_answered(a);
}

static void
answer_self(struct asker *a, uint64_t id)
{
	struct row_text row = { .text = str_of(submit_path) };

	if (row.text.len == 0) {
		answer_now(a, id, ANSWER_NOT_FOUND, STR("no submit socket"));
		return;
	}
	channel_tell(a->ch, TYPE_row_text, &row, id);
	answer_now(a, id, ANSWER_OK, STR(""));
}

/* NULL: it may be asked. */
static const char *
refusal(const struct asker *a, const struct route *route)
{
	if (route == NULL)
		return "unknown question";
	if ((a->who.permits & route->permits) != route->permits ||
	    (a->is_process && !route_is_for_web(route)))
		return "permission denied";
	/* Who has no use for them takes them for a breach of contract. */
	if (a->nterms > 0 && !route->has_terms)
		return "this question takes no filter";
	if (a->nrequests == ASKER_QUESTIONS_MAX)
		return "too many questions at once";
	return NULL;
}

void
route_question(struct asker *a, uint16_t type, const void *msg, uint64_t id)
{
	const struct route *route = route_find(type);
	const char *why = refusal(a, route);

	counters[CONTROL_ASKED].value++;
	if (why != NULL) {
		counters[CONTROL_REFUSED].value++;
		log_info(NULL, "control",
		    "uid=%u question=%s answer=refused why=%s",
		    (unsigned int)a->who.uid,
		    route == NULL ? "unknown" : route->name, log_cstr(why));
		answer_now(a, id, ANSWER_REFUSED_IT, str_of(why));
		return;
	}
	if (route->target == TO_SELF) {
		answer_self(a, id);
		return;
	}
	struct request *r = xcalloc(1, sizeof(*r));
	r->asker = a;
	r->id = id;
	r->route = route;
	r->what = route->describe == NULL ? route->name : route->describe(msg);
	r->silence = timer_new(a->loop, on_silence, r);
	TAILQ_INSERT_TAIL(&a->requests, r, link);
	a->nrequests++;
	nrequests++;
	if (type == TYPE_ask_follow)
		keep_lasting(r, msg);
	start_legs(r, msg);
	if (r->nopen > 0) {
		expect_word(r);
		if (a->is_stalled)
			route_stall(r);
		return;
	}
	if (r->sum == NULL)
		set_end(r, ANSWER_UNAVAILABLE, STR("temporarily unavailable"));
	request_finish(r);
}

/* --- rows on their way back --- */

static struct leg *
leg_find(struct leg_list *legs, uint64_t id)
{
	struct leg *leg;

	TAILQ_FOREACH(leg, legs, link)
		if (leg->id == id)
			return leg;
	return NULL;
}

void
route_row(struct leg_list *legs, uint64_t id, uint16_t type, const void *msg)
{
	struct leg *leg = leg_find(legs, id);

	if (leg == NULL)
		return;
	struct request *r = leg->request;
	if (r->sum != NULL) {
		const struct row_stat *row = msg;
		if (type == TYPE_row_stat)
			gather(r, leg->answerer->role, leg->answerer->instance,
			    row->name, row->value);
		return;
	}
	/* Who looks on has to keep up: nobody waits for him. */
	if (r->route->silence_ms == 0) {
		if (r->nlost > 0 || channel_is_full(r->asker->ch))
			r->nlost++;
		else
			channel_tell(r->asker->ch, type, msg, r->id);
		return;
	}
	if (!leg->is_paused)
		expect_word(r);
	channel_tell(r->asker->ch, type, msg, r->id);
	asker_fed(r->asker);
}

void
route_caught_up(struct request *r)
{
	char text[64];
	struct row_line row = { .when_ms = clock_wall_ms(), .way = LINE_NOTE };

	if (r->nlost == 0)
		return;
	snprintf(text, sizeof(text), "%llu lines were lost: read faster",
	    (unsigned long long)r->nlost);
	row.text = str_of(text);
	channel_tell(r->asker->ch, TYPE_row_line, &row, r->id);
	r->nlost = 0;
}

void
route_stall(struct request *r)
{
	struct leg *leg;

	SLIST_FOREACH(leg, &r->legs, next)
	{
		if (leg->answerer == NULL || leg->is_paused)
			continue;
		leg->is_paused = true;
		answerer_pause(leg->answerer);
	}
	timer_stop(r->silence);
}

void
route_resume(struct request *r)
{
	struct leg *leg;

	SLIST_FOREACH(leg, &r->legs, next)
	{
		if (!leg->is_paused)
			continue;
		leg->is_paused = false;
		answerer_resume(leg->answerer);
	}
	expect_word(r);
}

void
route_set_submit_path(const char *path)
{
	free(submit_path);
	submit_path = path == NULL ? NULL : xstrdup(path);
}

size_t
route_count(void)
{
	return nrequests;
}

void
route_on_idle(void (*idle)(void))
{
	on_idle = idle;
}
