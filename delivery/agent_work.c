#include "delivery/agent_work.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delivery/race.h"
#include "delivery/result.h"
#include "delivery/way_walk.h"
#include "lib/base/alloc.h"

enum { RCPTS_FIRST = 16 }; /* room made before more came */

struct work *
work_new(const struct tell_work *m, uint64_t id, uint64_t now_ms)
{
	struct work *w;

	if (m->nrcpt == 0 || m->header_size > m->inline_size ||
	    m->msgid.len > ID_LEN)
		return NULL;
	w = xcalloc(1, sizeof(*w));
	w->id = id;
	w->begun_ms = now_ms;
	memcpy(w->msgid, m->msgid.p, m->msgid.len);
	w->from = str_dup(m->from);
	w->action = str_dup(m->action);
	w->hops_text = str_dup(m->hops);
	w->domain = str_dup(m->domain);
	w->envid = str_dup(m->envid);
	w->flags = m->flags;
	w->header_size = m->header_size;
	w->inline_size = m->inline_size;
	w->content = xmalloc(w->inline_size + 1);
	w->in_file = m->in_file;
	w->body_size = m->in_file ? m->body_size : 0;
	w->file = -1;
	w->nexpected = m->nrcpt;
	return w;
}

void
work_free(struct work **wp)
{
	struct work *w = *wp;

	if (w == NULL)
		return;
	*wp = NULL;
	for (uint32_t i = 0; i < w->nrcpts; i++)
		free(w->rcpts[i].to);
	if (w->file != -1)
		(void)close(w->file);
	race_stop(w);
	walk_clear(&w->walk);
	verdict_free(&w->failure);
	free(w->rcpts);
	free(w->content);
	free(w->from);
	free(w->action);
	free(w->hops_text);
	free(w->domain);
	free(w->envid);
	free(w);
}

int
work_add_rcpt(struct work *w, const struct tell_work_rcpt *m)
{
	uint32_t n = w->nrcpts;
	char *p;

	if (n >= w->nexpected)
		return -1;
	if (n == 0 || (n >= RCPTS_FIRST && (n & (n - 1)) == 0))
		w->rcpts = xreallocarray(w->rcpts,
		    n < RCPTS_FIRST ? RCPTS_FIRST : (size_t)n * 2,
		    sizeof(*w->rcpts));
	p = xmalloc(m->to.len + m->orcpt.len + 2);
	w->rcpts[n] =
	    (struct work_rcpt){ .index = m->index, .notify = m->notify };
	w->rcpts[n].to = str_place(&p, m->to);
	w->rcpts[n].orcpt = str_place(&p, m->orcpt);
	w->nrcpts++;
	w->nopen++;
	w->nleft++;
	return 0;
}

int
work_add_file(struct work *w, int file)
{
	if (!w->in_file || w->file != -1)
		return -1;
	w->file = file;
	return 0;
}

int
work_add_content(struct work *w, struct str bytes)
{
	if (bytes.len > w->inline_size - w->ncontent)
		return -1;
	memcpy(w->content + w->ncontent, bytes.p, bytes.len);
	w->ncontent += bytes.len;
	return 0;
}

bool
work_is_complete(const struct work *w)
{
	return w->nrcpts == w->nexpected && w->ncontent == w->inline_size &&
	       (!w->in_file || w->file != -1);
}

uint64_t
work_size(const struct work *w)
{
	return w->inline_size + w->body_size;
}

void
work_set_state(struct work *w, struct work_rcpt *r, enum to_state st)
{
	if (r->state == TO_OPEN)
		w->nopen--;
	if (r->state != TO_DONE && st == TO_DONE)
		w->nleft--;
	if (st == TO_OPEN)
		w->nopen++;
	r->state = (uint8_t)st;
}

void
work_reopen(struct work *w)
{
	for (uint32_t i = 0; i < w->nrcpts; i++) {
		w->rcpts[i].in_tx = w->rcpts[i].vrfied = false;
		if (w->rcpts[i].state == TO_ASKED ||
		    w->rcpts[i].state == TO_TAKEN)
			work_set_state(w, &w->rcpts[i], TO_OPEN);
	}
}
