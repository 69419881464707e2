/* What control may ask of the parent: how it stands, what it counted, to take
 * a new configuration, and to stop. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "edges/control_all.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "posternd/confirm.h"
#include "posternd/control_tables.h"
#include "posternd/log_level.h"
#include "posternd/reload.h"
#include "posternd/retired.h"
#include "posternd/roster.h"
#include "posternd/spawn.h"
#include "posternd/watch.h"

static void
go_on(void *ctx)
{
	struct process *control = ctx;
	if (control->asks != NULL)
		channel_resume(control->asks);
}

/* Ends an answer; who does not read his answers asks nothing more. */
static void
end(struct process *control, struct channel *ch, const struct answer_done *m,
    uint64_t id)
{
	channel_tell(ch, TYPE_answer_done, m, id);
	if (!channel_is_full(ch))
		return;
	channel_on_drained(ch, go_on, control);
	channel_pause(ch);
}

static void
done(struct process *control, struct channel *ch, uint64_t id)
{
	struct answer_done m = { .code = ANSWER_OK };
	end(control, ch, &m, id);
}

static uint64_t
seconds_since(uint64_t then_ms)
{
	return (clock_mono_ms() - then_ms) / 1000;
}

/* --- show status --- */

static void
tell_gateway(struct channel *ch, const struct gateway *gw, uint64_t id)
{
	struct row_gateway m = { .version = STR(POSTERN_VERSION),
		.pid = (uint32_t)getpid(),
		.uptime_s = seconds_since(gw->started_ms),
		.hostname = str_of(gw->conf->hostname),
		.stopping = gw->stopping };
	channel_tell(ch, TYPE_row_gateway, &m, id);
	struct row_process self = { .role = str_of(role_name(ROLE_PARENT)),
		.pid = m.pid,
		.uptime_s = seconds_since(gw->taken_ms),
		.restarts = gw->restarts,
		.sandbox = STR("none"),
		.ready = 1 };
	channel_tell(ch, TYPE_row_process, &self, id);
}

static void
tell_process(struct channel *ch, const struct process *p, uint64_t id)
{
	struct row_process m = { .role = str_of(role_name(p->def->role)),
		.instance = p->instance,
		.pid = (uint32_t)p->pid,
		.uptime_s = p->pid == 0 ? 0 : seconds_since(p->started_ms),
		.restarts = p->restarts,
		.sandbox = str_of(p->sandbox),
		.ready = p->state == PROCESS_READY };
	channel_tell(ch, TYPE_row_process, &m, id);
}

static void
tell_listener(struct channel *ch, const struct gateway *gw,
    const struct listener *l, uint64_t id)
{
	char text[ADDR_TEXT_MAX];
	struct row_listener m = { .port = l->port,
		.sessions = sources_on_listener(gw->sources, l->slot) };
	if (l->addr.family == ADDR_LOCAL)
		m.address = str_of(l->path);
	else
		m.address = str_of(addr_format(&l->addr, text));
	channel_tell(ch, TYPE_row_listener, &m, id);
}

static void
on_status(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *control = ctx;
	const struct gateway *gw = control->gw;
	const struct retired *r;
	(void)msg;
	tell_gateway(ch, gw, id);
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (roster_is_wanted(&gw->processes[i]))
			tell_process(ch, &gw->processes[i], id);
	TAILQ_FOREACH(r, &gw->retired, next)
		tell_process(ch, &r->p, id);
	for (size_t i = 0; i < gw->conf->nlisteners; i++)
		tell_listener(ch, gw, &gw->conf->listeners[i], id);
	done(control, ch, id);
}

/* --- show stats --- */

static void
tell_stat(struct channel *ch, const char *name, uint64_t value, uint64_t id)
{
	struct row_stat m = { .name = str_of(name), .value = value };
	channel_tell(ch, TYPE_row_stat, &m, id);
}

static void
on_stats(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *control = ctx;
	const struct gateway *gw = control->gw;
	uint64_t restarts = 0;
	(void)msg;
	for (size_t i = 0; i < gw->nprocesses; i++)
		restarts += gw->processes[i].restarts;
	tell_stat(ch, "parent.uptime", seconds_since(gw->started_ms), id);
	tell_stat(ch, "parent.restarts", restarts, id);
	tell_stat(ch, "parent.deaths", gw->deaths, id);
	tell_stat(ch, "log.lost", log_lost(), id);
	done(control, ch, id);
}

/* --- reload --- */

static void
tell_messages(
    struct channel *ch, const struct conf_message *list, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++) {
		struct row_text m = { .text = str_head(
					  str_of(list[i].text), 1024) };
		channel_tell(ch, TYPE_row_text, &m, id);
	}
}

static void
tell_changes(struct channel *ch, const struct diff *d, uint64_t id)
{
	for (size_t i = 0; i < d->nrows; i++) {
		struct row_diff m = { .sign = (uint8_t)d->rows[i].sign,
			.where = str_head(str_of(d->rows[i].where), 1100),
			.text = str_head(str_of(d->rows[i].text), 4096) };
		channel_tell(ch, TYPE_row_diff, &m, id);
	}
}

/* A question that is answered when everybody has the configuration. */
struct reloading {
	struct reload_wait wait;
	struct process *control;
	/* Who asked: another control did not, nor does it know of this on
	 * another channel. */
	const struct channel *ch;
	uint32_t restarts;
	uint64_t id, changes;
};

static void
on_reloaded(void *ctx)
{
	struct reloading *r = ctx;
	struct answer_done m = {
		.code = ANSWER_OK, .matched = r->changes, .changed = r->changes
	};
	if (r->control->asks == r->ch && r->control->restarts == r->restarts)
		end(r->control, r->control->asks, &m, r->id);
	free(r);
}

static void
wait_reloaded(struct process *control, uint64_t changes, uint64_t id)
{
	struct reloading *r = xmalloc(sizeof(*r));
	*r = (struct reloading){ .control = control,
		.ch = control->asks,
		.restarts = control->restarts,
		.id = id,
		.changes = changes };
	reload_wait(control->gw, &r->wait, on_reloaded, r);
}

static void
on_reload(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *control = ctx;
	const struct ask_reload *m = msg;
	uint64_t confirm_ms = m->confirm_ms;
	struct conf_errors messages = { 0 };
	struct diff changes = { 0 };
	struct answer_done refused = { .code = ANSWER_REFUSED_IT,
		.text = STR("not reloaded, the configuration stays") };
	log_info(NULL, "reload", "by=control uid=%u", m->uid);
	int rc = reload(control->gw, confirm_ms, &messages, &changes);
	/* It may have been lost with its process. */
	if (control->asks == ch) {
		tell_messages(ch, messages.errors, messages.nerrors, id);
		tell_messages(ch, messages.warnings, messages.nwarnings, id);
		if (rc == -1) {
			end(control, ch, &refused, id);
		} else {
			tell_changes(ch, &changes, id);
			wait_reloaded(control, changes.total, id);
		}
	}
	diff_clear(&changes);
	conf_errors_clear(&messages);
}

static void
on_confirm(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *control = ctx;
	const struct ask_confirm *m = msg;
	struct answer_done none = { .code = ANSWER_NOT_FOUND,
		.text = STR("no configuration waits to be confirmed") };
	if (!confirm_is_waiting(control->gw)) {
		end(control, ch, &none, id);
		return;
	}
	log_info(NULL, "confirm", "result=confirmed by=control uid=%u", m->uid);
	confirm_settle(control->gw);
	done(control, ch, id);
}

static void
on_config_diff(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *control = ctx;
	struct conf_errors messages = { 0 };
	struct diff changes = { 0 };
	struct answer_done answer = { .code = ANSWER_OK };
	(void)msg;
	if (reload_diff(control->gw, &messages, &changes) == -1)
		answer = (struct answer_done){ .code = ANSWER_REFUSED_IT,
			.text = STR("this would not be taken") };
	answer.matched = changes.total;
	tell_messages(ch, messages.errors, messages.nerrors, id);
	tell_messages(ch, messages.warnings, messages.nwarnings, id);
	tell_changes(ch, &changes, id);
	end(control, ch, &answer, id);
	diff_clear(&changes);
	conf_errors_clear(&messages);
}

/* --- show tables --- */

static void
on_tables(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *control = ctx;
	(void)msg;
	control_tables_tell(ch, control->gw->conf, id);
	done(control, ch, id);
}

/* --- the log --- */

static void
on_log_level(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *control = ctx;
	const struct ask_log_level *m = msg;
	log_level_change(control->gw, m->verbose != 0, m->uid);
	done(control, ch, id);
}

/* --- stop --- */

static void
on_stop(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *control = ctx;
	const struct ask_stop *m = msg;
	log_info(NULL, "stop", "by=control uid=%u", m->uid);
	done(control, ch, id);
	watch_stop(control->gw, STOP_GRACE_MS);
}

const struct handler from_control_handlers[] = {
	{ TYPE_ask_status, on_status },
	{ TYPE_ask_stats, on_stats },
	{ TYPE_ask_reload, on_reload },
	{ TYPE_ask_confirm, on_confirm },
	{ TYPE_ask_config_diff, on_config_diff },
	{ TYPE_ask_tables, on_tables },
	{ TYPE_ask_log_level, on_log_level },
	{ TYPE_ask_stop, on_stop },
	{ 0, NULL },
};

/* It broke the contract (logged), or is about to be buried. */
void
from_control_closed(void *ctx, struct channel *ch)
{
	struct process *control = ctx;
	if (control->asks == ch)
		channel_free(&control->asks);
}
