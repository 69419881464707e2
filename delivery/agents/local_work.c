#include "delivery/agents/local_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

enum { RCPTS_FIRST = 16, RELAY_MAX = 320 };

static struct counter counters[] = {
	[OUTCOME_DELIVERED] = { "delivery.delivered", 0 },
	[OUTCOME_DEFERRED] = { "delivery.deferred", 0 },
	[OUTCOME_FAILED] = { "delivery.bounced", 0 },
	{ NULL, 0 },
};

/* --- what came --- */

struct local_work *
local_work_new(const struct tell_work *m, uint64_t id)
{
	struct local_work *w;

	if (m->nrcpt == 0)
		return NULL;
	w = xcalloc(1, sizeof(*w));
	w->id = id;
	w->begun_ms = clock_mono_ms();
	w->from = str_dup(m->from);
	w->action = str_dup(m->action);
	w->inline_size = m->inline_size;
	w->content = xmalloc(w->inline_size + 1);
	w->in_file = m->in_file;
	w->body_size = m->in_file ? m->body_size : 0;
	w->file = -1;
	w->nexpected = m->nrcpt;
	return w;
}

void
local_work_free(struct local_work **wp)
{
	struct local_work *w = *wp;

	if (w == NULL)
		return;
	*wp = NULL;
	for (uint32_t i = 0; i < w->nrcpts; i++)
		free(w->rcpts[i].to);
	if (w->file != -1)
		(void)close(w->file);
	free(w->rcpts);
	free(w->content);
	free(w->from);
	free(w->action);
	free(w);
}

int
local_work_add_rcpt(struct local_work *w, const struct tell_work_rcpt *m)
{
	uint32_t n = w->nrcpts;
	struct local_rcpt *r;
	char *p;

	if (n >= w->nexpected)
		return -1;
	if (n == 0 || (n >= RCPTS_FIRST && (n & (n - 1)) == 0))
		w->rcpts = xreallocarray(w->rcpts,
		    n < RCPTS_FIRST ? RCPTS_FIRST : (size_t)n * 2,
		    sizeof(*w->rcpts));
	r = &w->rcpts[n];
	r->index = m->index;
	p = xmalloc(m->to.len + m->orcpt.len + 2);
	r->to = str_place(&p, m->to);
	r->orcpt = str_place(&p, m->orcpt);
	w->nrcpts++;
	return 0;
}

int
local_work_add_file(struct local_work *w, int file)
{
	if (!w->in_file || w->file != -1)
		return -1;
	w->file = file;
	return 0;
}

int
local_work_add_content(struct local_work *w, struct str bytes)
{
	if (bytes.len > w->inline_size - w->ncontent)
		return -1;
	memcpy(w->content + w->ncontent, bytes.p, bytes.len);
	w->ncontent += bytes.len;
	return 0;
}

bool
local_work_is_complete(const struct local_work *w)
{
	return w->nrcpts == w->nexpected && w->ncontent == w->inline_size &&
	       (!w->in_file || w->file != -1);
}

void
local_work_text(const struct local_work *w, const struct local_rcpt *r,
    struct mail_text *out)
{
	mail_text_init(out, str_of(w->from), str_of(r->to),
	    (struct str){ w->content, w->inline_size }, w->file, w->body_size);
}

/* --- what is told of it --- */

void
local_outcome_set(struct local_outcome *o, enum outcome outcome,
    const char *status, const char *reply)
{
	o->outcome = outcome;
	(void)snprintf(o->status, sizeof(o->status), "%s", status);
	(void)snprintf(o->reply, sizeof(o->reply), "%s", reply);
}

void
local_work_tell(const struct local_work *w, const struct local_rcpt *r,
    const struct local_outcome *o, struct str where, struct channel *queue)
{
	struct tell_result m = {
		.index = r->index,
		.outcome = (uint8_t)o->outcome,
		.status = str_of(o->status),
		.relay = str_head(where, RELAY_MAX),
		.reply = str_of(o->reply),
		.handover = HANDOVER_FINAL,
	};

	counters[o->outcome].value++;
	if (queue != NULL)
		(void)channel_tell(queue, TYPE_tell_result, &m, w->id);
}

void
local_work_done(const struct local_work *w, struct channel *queue)
{
	uint64_t ms = clock_mono_ms() - w->begun_ms;
	struct tell_done m = {
		.ms = ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms,
	};

	if (queue != NULL)
		(void)channel_tell(queue, TYPE_tell_done, &m, w->id);
}

const struct counter *
local_work_counters(void)
{
	return counters;
}
