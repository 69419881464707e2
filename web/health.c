#include "web/health.h"

#include <string.h>

bool
health_is_alive(const struct view *v, struct buf *out)
{
	bool alive = (v->known & KNOWN_CONTROL) != 0;

	buf_addf(out, alive ? "ok\n" : "control does not answer\n");
	return alive;
}

static void
add_down(const struct view *v, struct buf *out)
{
	for (size_t i = 0; i < v->nprocesses; i++) {
		const struct view_process *p = &v->processes[i];

		if (!p->is_ready)
			buf_addf(out, "%s/%u is %s\n", p->role, p->instance,
			    p->is_running ? "starting" : "down");
	}
}

/* What the queue counts is 1 while it takes nothing. */
static bool
is_refusing(const struct view *v)
{
	for (size_t i = 0; i < v->nstats; i++)
		if (strcmp(v->stats[i].name, "queue.refusing") == 0)
			return v->stats[i].value != 0;
	return false;
}

bool
health_is_ready(const struct view *v, struct buf *out)
{
	size_t before = out->len;

	if (!(v->known & KNOWN_STATUS)) {
		buf_addf(out, "control does not answer\n");
		return false;
	}
	if (v->is_stopping)
		buf_addf(out, "stopping\n");
	else
		add_down(v, out);
	if (v->is_paused)
		buf_addf(out, "smtp is paused\n");
	if (is_refusing(v))
		buf_addf(out, "the queue is full, or its disk\n");
	if (!v->is_paused && !(v->known & KNOWN_PAUSES) && out->len == before)
		buf_addf(out, "the queue does not answer\n");
	if (out->len != before)
		return false;
	buf_addf(out, "ready\n");
	return true;
}
