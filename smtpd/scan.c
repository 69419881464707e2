/* The stages of a session, one question after another. */
#include "smtpd/scan.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "smtpd/content.h"

struct scan {
	struct loop *loop;
	struct milters *milters;
	struct facts *facts;
	const struct scan_mail *mail;
	const struct scan_ops *ops;
	void *ctx;
	enum milter_stage stage; /* that is asked, or will be next */
	size_t rcpt;             /* of MILTER_RCPT */
	struct deferred begin;
};

/* --- the filters --- */

void
scan_set_add(
    struct scan_set *s, const struct milter *m, uint32_t step, bool strict)
{
	size_t n = s->set.n;

	if (n == MILTER_SET_MAX)
		return;
	struct milter *copy = &s->milters[n];
	*copy = *m;
	copy->after_queue = false;
	if (strict && copy->on_failure == MILTER_FAIL_ACCEPT)
		copy->on_failure = MILTER_FAIL_TEMPFAIL;
	/* Whoever is left out leaves no gap. */
	s->set.members[n].milter = copy;
	if (n > 0)
		s->set.members[n].step =
		    s->set.members[n - 1].step + (step != s->last);
	s->last = step;
	s->set.n++;
}

/* --- the questions --- */

/* What the next question is about. */
static void
prepare(struct scan *s)
{
	static const struct action unknown = { .kind = ACTION_RELAY };
	const struct scan_mail *m = s->mail;

	if (s->stage == MILTER_MAIL)
		facts_set_mail(
		    s->facts, m->msgid, m->from, m->mail_args, m->from);
	else if (s->stage == MILTER_RCPT) {
		const struct scan_rcpt *r = &m->rcpts[s->rcpt];

		facts_set_rcpt(s->facts, r->written, r->to,
		    r->action != NULL ? r->action : &unknown);
	} else if (s->stage == MILTER_CONTENT)
		facts_set_content(s->facts, m->content.header);
}

/* Which stage comes behind the present one. */
static enum milter_stage
stage_after(const struct scan *s)
{
	static const enum milter_stage next[MILTER_STAGES] = {
		[MILTER_CONNECT] = MILTER_HELO,
		[MILTER_HELO] = MILTER_MAIL,
		[MILTER_MAIL] = MILTER_RCPT,
		[MILTER_RCPT] = MILTER_DATA,
		[MILTER_DATA] = MILTER_CONTENT,
	};

	bool more = s->stage == MILTER_MAIL || s->stage == MILTER_RCPT;

	if (more && s->rcpt < s->mail->nrcpts)
		return MILTER_RCPT;
	return s->stage == MILTER_MAIL ? MILTER_DATA : next[s->stage];
}

/* Is this the end, or does the play go on? */
static bool
is_final(const struct scan *s, const struct milter_answer *a)
{
	if (s->stage == MILTER_CONTENT)
		return true;
	switch (a->verdict) {
	case MILTER_ACCEPT:
	case MILTER_CONTINUE:
	case MILTER_QUARANTINE:
		return false;
	case MILTER_TEMPFAIL:
	case MILTER_REJECT:
		return s->stage != MILTER_RCPT || a->failed;
	case MILTER_DISCARD:
	case MILTER_SHUTDOWN:
		break;
	}
	return true;
}

/* Goes on behind an answer; false: that was the last (s may be gone). */
static bool
go_on(struct scan *s, const struct milter_answer *a)
{
	if (is_final(s, a)) {
		s->ops->on_done(s->ctx, a);
		return false;
	}
	if (s->stage == MILTER_RCPT)
		s->rcpt++;
	s->stage = stage_after(s);
	return true;
}

static void
ask(struct scan *s)
{
	struct milter_answer a;
	bool is_there;

	do {
		prepare(s);
		memset(&a, 0, sizeof(a));
		is_there =
		    s->stage == MILTER_CONTENT ?
			milters_filter(s->milters, &s->mail->content, &a) :
			milters_ask(s->milters, s->stage, &a);
	} while (is_there && go_on(s, &a));
}

static void
on_answer(void *ctx, const struct milter_answer *a)
{
	struct scan *s = ctx;

	if (go_on(s, a))
		ask(s);
}

static void
on_event(void *ctx, const struct milter_event *e)
{
	struct scan *s = ctx;

	s->ops->on_event(s->ctx, e);
}

/* --- new bodies --- */

static void
on_file(void *ctx, struct content *c, bool ok)
{
	struct scan *s = ctx;

	milters_body_ready(s->milters, c, ok);
}

static void *
body_new(void *ctx, uint64_t max)
{
	return content_new(max, on_file, ctx);
}

static const struct milter_ops milter_ops = {
	.on_answer = on_answer,
	.on_event = on_event,
	.body_new = body_new,
	.body_add = content_body_add,
	.body_free = content_body_free,
	.body_show = content_body_show,
};

/* --- its life --- */

static void
begin(void *ctx)
{
	ask(ctx);
}

struct scan *
scan_new(struct loop *l, struct config *config, struct facts *facts,
    const struct scan_ops *ops, void *ctx)
{
	struct scan *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	s->facts = facts;
	s->ops = ops;
	s->ctx = ctx;
	s->milters = milters_new(l, config, &facts->m, &milter_ops, s);
	deferred_init(&s->begin, begin, s);
	return s;
}

void
scan_start(
    struct scan *s, const struct scan_mail *mail, const struct milter_set *set)
{
	s->mail = mail;
	milters_choose(s->milters, set, false);
	loop_after(s->loop, &s->begin);
}

const struct milter_result *
scan_result(struct scan *s)
{
	return milters_result(s->milters);
}

void
scan_free(struct scan **s)
{
	if (*s == NULL)
		return;
	loop_after_cancel((*s)->loop, &(*s)->begin);
	milters_free(&(*s)->milters);
	free(*s);
	*s = NULL;
}
