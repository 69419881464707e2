#include "web/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

enum { STATE_UP = 0 }; /* of a row_milter */

struct view *
view_new(void)
{
	return xcalloc(1, sizeof(struct view));
}

void
view_free(struct view **vp)
{
	struct view *v = *vp;

	if (v == NULL)
		return;
	*vp = NULL;
	for (size_t i = 0; i < v->nstats; i++) {
		free(v->stats[i].name);
		free(v->stats[i].process);
	}
	for (size_t i = 0; i < v->nprocesses; i++)
		free(v->processes[i].role);
	for (size_t i = 0; i < v->nlisteners; i++)
		free(v->listeners[i].name);
	for (size_t i = 0; i < v->nmilters; i++)
		free(v->milters[i].name);
	free(v->stats);
	free(v->processes);
	free(v->listeners);
	free(v->milters);
	free(v->version);
	free(v);
}

/* Room for one more of n, in steps that double; NULL: there are enough. */
static void *
grow(void *rows, size_t n, size_t size)
{
	if (n == VIEW_ROWS_MAX)
		return NULL;
	if ((n & (n - 1)) != 0)
		return rows;
	return xreallocarray(rows, n == 0 ? 1 : 2 * n, size);
}

void
view_add_gateway(struct view *v, const struct row_gateway *m)
{
	free(v->version);
	v->version = str_dup(m->version);
	v->is_stopping = m->stopping != 0;
}

void
view_add_process(struct view *v, const struct row_process *m)
{
	struct view_process *rows =
	    grow(v->processes, v->nprocesses, sizeof(*rows));

	if (rows == NULL)
		return;
	v->processes = rows;
	rows[v->nprocesses++] = (struct view_process){
		.role = str_dup(m->role),
		.instance = m->instance,
		.is_running = m->pid != 0,
		.is_ready = m->ready != 0,
		.restarts = m->restarts,
	};
}

static char *
listener_name(const struct row_listener *m)
{
	char text[160];
	int len = (int)m->address.len;

	if (m->port == 0)
		return str_dup(m->address);
	snprintf(text, sizeof(text),
	    memchr(m->address.p, ':', m->address.len) != NULL ? "[%.*s]:%u" :
								"%.*s:%u",
	    len, m->address.p, m->port);
	return xstrdup(text);
}

void
view_add_listener(struct view *v, const struct row_listener *m)
{
	struct view_listener *rows =
	    grow(v->listeners, v->nlisteners, sizeof(*rows));

	if (rows == NULL)
		return;
	v->listeners = rows;
	rows[v->nlisteners++] =
	    (struct view_listener){ .name = listener_name(m),
		    .sessions = m->sessions };
}

void
view_add_stat(struct view *v, const struct row_stat *m)
{
	struct view_stat *rows = grow(v->stats, v->nstats, sizeof(*rows));

	if (rows == NULL)
		return;
	v->stats = rows;
	rows[v->nstats++] = (struct view_stat){ .name = str_dup(m->name),
		.process = str_dup(m->process),
		.value = m->value };
}

void
view_add_milter(struct view *v, const struct row_milter *m)
{
	struct view_milter *rows;

	for (size_t i = 0; i < v->nmilters; i++)
		if (str_eq(m->name, str_of(v->milters[i].name))) {
			v->milters[i].is_up |= m->state == STATE_UP;
			return;
		}
	rows = grow(v->milters, v->nmilters, sizeof(*rows));
	if (rows == NULL)
		return;
	v->milters = rows;
	rows[v->nmilters++] = (struct view_milter){ .name = str_dup(m->name),
		.is_up = m->state == STATE_UP };
}

void
view_add_pause(struct view *v, const struct row_pause *m)
{
	v->is_paused |= m->what == PAUSE_SMTP;
	v->is_delivery_paused |= m->what == PAUSE_DELIVERY;
}
