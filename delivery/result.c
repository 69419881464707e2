#include "delivery/result.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

static uint64_t counts[OUTCOME_FAILED + 1];

static enum outcome
outcome_of_class(unsigned int class)
{
	if (class == 2)
		return OUTCOME_DELIVERED;
	return class == 5 ? OUTCOME_FAILED : OUTCOME_DEFERRED;
}

void
verdict_of_reply(struct verdict *v, const struct reply *r)
{
	v->code = r->code;
	v->outcome = outcome_of_class(r->code / 100U);
	v->status = r->status;
	if (v->status.class == 0)
		v->status =
		    (struct status){ .class =
					 v->outcome == OUTCOME_DELIVERED ? 2 :
					 v->outcome == OUTCOME_FAILED    ? 5 :
									   4 };
	v->possible_duplicate = false;
	v->handover = HANDOVER_RELAYED;
	memcpy(v->text, r->text, r->text_len + 1);
}

void
verdict_set(struct verdict *v, const char *status, const char *fmt, ...)
{
	struct str rest;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(v->text, sizeof(v->text), fmt, ap);
	va_end(ap);
	if (status_parse(str_of(status), &v->status, &rest) == -1)
		v->status = (struct status){ .class = 4 };
	v->code = 0;
	v->outcome = outcome_of_class(v->status.class);
	v->possible_duplicate = false;
	v->handover = HANDOVER_RELAYED;
}

bool
reply_is_too_many(const struct reply *r)
{
	/* x.1 and x.2 are about this address and this mailbox */
	if (r->code == 452)
		return r->status.subject != 1 && r->status.subject != 2;
	return r->code == 552 &&
	       (r->status.class == 0 ||
		   (r->status.subject == 5 && r->status.detail == 3));
}

void
work_set_failure(struct work *w, const struct verdict *v)
{
	if (w->failure == NULL)
		w->failure = xcalloc(1, sizeof(*w->failure));
	else if (w->failure->outcome == OUTCOME_DEFERRED &&
		 v->outcome == OUTCOME_FAILED)
		return;
	*w->failure = *v;
}

void
verdict_free(struct verdict **v)
{
	free(*v);
	*v = NULL;
}

void
result_tell(struct work *w, struct work_rcpt *r, const struct verdict *v)
{
	char status[16];
	struct tell_result m = {
		.index = r->index,
		.outcome = (uint8_t)v->outcome,
		.code = v->code,
		.status = str_of(status_format(&v->status, status)),
		.relay = str_of(v->relay),
		.reply = str_of(v->text),
		.possible_duplicate = v->possible_duplicate,
		.handover = (uint8_t)v->handover,
		.tls = str_of(v->tls),
	};

	if (r->state == TO_DONE)
		return;
	work_set_state(w, r, TO_DONE);
	counts[v->outcome]++;
	if (w->queue != NULL)
		(void)channel_tell(w->queue, TYPE_tell_result, &m, w->id);
}

void
result_tell_all(struct work *w, enum to_state st, const struct verdict *v)
{
	for (uint32_t i = 0; i < w->nrcpts; i++)
		if (w->rcpts[i].state == st)
			result_tell(w, &w->rcpts[i], v);
}

uint64_t
result_count(enum outcome o)
{
	return counts[o];
}
