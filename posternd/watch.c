#include "posternd/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "edges/all_parent.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "posternd/links.h"
#include "posternd/notify.h"
#include "posternd/reload.h"
#include "posternd/retired.h"
#include "posternd/roster.h"
#include "posternd/spawn.h"
#include "posternd/upgrade.h"

enum {
	/* Who lived longer did not die of its start. */
	LONG_LIFE_MS = 30000,
	BACKOFF_MAX_S = 60,
	/* Without its channel a child ends in 5 s by itself. */
	KILL_AFTER_MS = 6000,
	/* Beyond the grace that the child itself keeps. */
	STOP_SLACK_MS = 1000
};

static void stop_wave(struct gateway *gw);
static void on_timer(void *ctx);
static void on_death(struct process *p);
static void restart_later(struct process *p);

/* --- start --- */

static void
fail_start(struct gateway *gw, const struct process *p, const char *why)
{
	char text[1200];
	if (gw->failure != NULL)
		return;
	if (gw->keeps_trying) {
		log_warn(NULL, "start", "process=%s instance=%u why=%s",
		    role_name(p->def->role), p->instance, log_cstr(why));
		return;
	}
	snprintf(text, sizeof(text), "%s: %s", role_name(p->def->role), why);
	gw->failure = xstrdup(text);
	loop_stop(gw->loop);
}

/* Channels to everyone who runs; in a wave's start only to those before us,
 * since those behind us do the same. Backwards, the queue last: it has mail
 * for the newcomer to filter at once, and he needs the dialer for that. */
static void
connect_to_running(struct process *p, const struct process *end)
{
	struct gateway *gw = p->gw;

	for (size_t i = (size_t)(end - gw->processes); i-- > 0;) {
		struct process *q = &gw->processes[i];
		if (q != p && q->state != PROCESS_DOWN && q->ch != NULL)
			links_join(p, q);
	}
	retired_connect(gw, p);
	links_join_parent(p);
}

/* One that is to be there. */
static bool
is_of_wave(const struct process *p)
{
	return p->def->wave == p->gw->wave && roster_is_wanted(p);
}

static bool
is_wave_ready(const struct gateway *gw)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (is_of_wave(&gw->processes[i]) &&
		    gw->processes[i].state != PROCESS_READY)
			return false;
	return true;
}

static void
start_wave(struct gateway *gw)
{
	struct process *end = gw->processes + gw->nprocesses;
	struct fault why = { 0 };
	for (struct process *p = gw->processes; p < end; p++) {
		if (!is_of_wave(p))
			continue;
		p->leave = LEAVE_NOT;
		if (spawn_start(p, &why) == 0) {
			connect_to_running(p, p);
			continue;
		}
		fail_start(gw, p, why.text);
		if (!gw->keeps_trying)
			return;
		if (p->pid == 0)
			restart_later(p);
	}
	for (struct process *p = gw->processes; p < end; p++)
		if (p->def->wave == gw->wave && p->ch != NULL)
			spawn_go(p);
}

void
watch_add(struct process *p)
{
	p->timer = timer_new(p->gw->loop, on_timer, p);
}

void
watch_start(struct gateway *gw)
{
	gw->wave = 0;
	start_wave(gw);
}

void
watch_ready(struct process *p)
{
	struct gateway *gw = p->gw;
	p->state = PROCESS_READY;
	channel_set_phase(p->ch, PHASE_RUN);
	log_debug(NULL, "started", "process=%s instance=%u pid=%d sandbox=%s",
	    role_name(p->def->role), p->instance, (int)p->pid,
	    log_cstr(p->sandbox != NULL ? p->sandbox : ""));
	/* While stopping, wave counts down: nothing more is started. */
	if (gw->ready || gw->stopping || !is_wave_ready(gw))
		return;
	gw->wave++;
	if (gw->wave < WAVE_COUNT) {
		start_wave(gw);
		return;
	}
	gw->ready = true;
	gw->on_ready(gw);
}

/* --- death and restart --- */

/* At once the first time, then 1, 2, 4 … 60 s while it dies soon after each
 * start. */
static uint64_t
backoff_ms(struct process *p)
{
	uint64_t s = 0;
	if (clock_mono_ms() - p->started_ms >= LONG_LIFE_MS)
		p->quick_deaths = 0;
	if (p->quick_deaths > 6)
		s = BACKOFF_MAX_S;
	else if (p->quick_deaths > 0)
		s = UINT64_C(1) << (p->quick_deaths - 1);
	p->quick_deaths++;
	return s * 1000;
}

static void
restart_later(struct process *p)
{
	uint64_t ms = backoff_ms(p);
	if (ms > 0)
		log_warn(NULL, "restart", "process=%s instance=%u delay=%llu",
		    role_name(p->def->role), p->instance,
		    (unsigned long long)(ms / 1000));
	timer_set(p->timer, ms);
}

static void
start(struct process *p)
{
	struct gateway *gw = p->gw;
	struct fault why = { 0 };
	p->started_ms = clock_mono_ms(); /* of the attempt, if it fails */
	if (spawn_start(p, &why) == -1) {
		log_warn(NULL, "restart", "process=%s instance=%u why=%s",
		    role_name(p->def->role), p->instance, log_cstr(why.text));
		if (p->pid == 0)
			restart_later(p);
		return;
	}
	connect_to_running(p, gw->processes + gw->nprocesses);
	spawn_go(p);
}

static void
restart(struct process *p)
{
	p->restarts++;
	start(p);
}

/* Never a pid that was waited for: it may be somebody else's by now. */
static void
kill_process(const struct process *p)
{
	if (p->pid != 0 && !p->reaped)
		kill(p->pid, SIGKILL);
}

void
watch_refuse(struct process *p, const char *why)
{
	free(p->failure);
	p->failure = xstrdup(why);
	/* What it still says is not heard. */
	channel_free(&p->ch);
	kill_process(p);
	if (p->reaped)
		on_death(p);
}

/* A process without a pid waits for its restart; one with a pid has lost its
 * channel and should have ended. */
static void
on_timer(void *ctx)
{
	struct process *p = ctx;
	if (p->pid != 0) {
		kill_process(p);
		return;
	}
	if (!p->gw->stopping)
		restart(p);
}

/* How it ended, in words. */
static const char *
describe(int status, char *text, size_t size)
{
	if (WIFEXITED(status))
		snprintf(text, size, "exit status %d", WEXITSTATUS(status));
	else if (WTERMSIG(status) == SIGSYS)
		snprintf(text, size, "sandbox violation (SIGSYS)");
	else
		snprintf(text, size, "signal %d (SIG%s)", WTERMSIG(status),
		    sigabbrev_np(WTERMSIG(status)) != NULL ?
			sigabbrev_np(WTERMSIG(status)) :
			"?");
	return text;
}

/* Takes down what belonged to the process that was. */
static void
bury(struct process *p)
{
	channel_free(&p->ch);
	channel_free(&p->asks);
	links_drop(p);
	timer_stop(p->timer);
	p->pid = 0;
	p->reaped = false;
	p->state = PROCESS_DOWN;
	if ((p->def->gives & GIVES_SOURCES) != 0)
		sources_zero_column(p->gw->sources, p->instance);
	p->conf_told = p->conf_stale = false;
	reload_taken(p->gw);
}

static void
log_death(const struct process *p, const char *how)
{
	if (p->failure != NULL)
		log_warn(NULL, "died",
		    "process=%s instance=%u pid=%d why=%s reason=%s",
		    role_name(p->def->role), p->instance, (int)p->pid,
		    log_cstr(how), log_cstr(p->failure));
	else
		log_warn(NULL, "died", "process=%s instance=%u pid=%d why=%s",
		    role_name(p->def->role), p->instance, (int)p->pid,
		    log_cstr(how));
}

/* It has been waited for, and all that it said has been read. */
static void
on_death(struct process *p)
{
	struct gateway *gw = p->gw;
	char how[64];
	bool expected = gw->stopping || p->leave != LEAVE_NOT;
	enum process_leave leave = p->leave;
	describe(p->status, how, sizeof(how));
	if (!expected || p->status != 0)
		log_death(p, how);
	bury(p);
	if (gw->stopping) {
		stop_wave(gw);
		return;
	}
	if (leave == LEAVE_FOR_GOOD || upgrade_wants_none(p)) {
		upgrade_step(gw);
		return;
	}
	if (leave == LEAVE_AND_RETURN) {
		watch_return(p);
		return;
	}
	gw->deaths++;
	if (gw->ready || gw->keeps_trying)
		restart_later(p);
	else
		fail_start(gw, p, p->failure != NULL ? p->failure : how);
}

void
watch_channel_closed(void *ctx, struct channel *ch)
{
	struct process *p = ctx;
	if (p->ch != ch)
		return;
	if (p->failure == NULL && channel_breach(ch) != NULL)
		p->failure = xstrdup(channel_breach(ch));
	channel_free(&p->ch);
	if (p->reaped)
		on_death(p);
	else
		timer_set(p->timer, KILL_AFTER_MS);
}

static struct process *
find_pid(struct gateway *gw, pid_t pid)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (gw->processes[i].pid == pid && !gw->processes[i].reaped)
			return &gw->processes[i];
	return NULL;
}

static void
reap_other(struct gateway *gw, pid_t pid, int status)
{
	if (!retired_reap(gw, pid, status))
		(void)upgrade_reap(gw, pid, status);
	else if (gw->stopping)
		stop_wave(gw);
	else
		upgrade_step(gw);
}

void
watch_reap(struct gateway *gw)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct process *p = find_pid(gw, pid);
		if (p == NULL) {
			reap_other(gw, pid, status);
			continue;
		}
		p->reaped = true;
		p->status = status;
		/* Its last words may still lie in the channel: they end with
		 * its close. */
		if (p->ch == NULL)
			on_death(p);
	}
}

/* --- stop --- */

static bool
is_wave_gone(const struct gateway *gw)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (gw->processes[i].def->wave == gw->wave &&
		    gw->processes[i].pid != 0)
			return false;
	/* Those from before a restart: first who has sessions, and before the
	 * queue goes. */
	if (gw->wave == WAVE_SMTPD)
		return retired_are_gone(gw, true);
	return gw->wave != WAVE_ASKED || retired_are_gone(gw, false);
}

static void
kill_wave(void *ctx)
{
	struct gateway *gw = ctx;
	if (gw->wave == WAVE_SMTPD || gw->wave == WAVE_ASKED)
		retired_kill(gw, false);
	for (size_t i = 0; i < gw->nprocesses; i++) {
		struct process *p = &gw->processes[i];
		if (p->def->wave != gw->wave || p->pid == 0)
			continue;
		log_warn(NULL, "stop", "process=%s instance=%u why=%s",
		    role_name(p->def->role), p->instance,
		    log_cstr("did not stop in time"));
		kill_process(p);
	}
}

static void
tell_stop(const struct process *p, uint32_t grace_ms)
{
	struct tell_stop m = { .grace_ms = grace_ms };
	if (p->ch != NULL)
		channel_tell(p->ch, TYPE_tell_stop, &m, 0);
}

/* Goes on to the next wave while the present one is gone. */
static void
stop_wave(struct gateway *gw)
{
	while (is_wave_gone(gw)) {
		if (gw->wave == 0) {
			timer_stop(gw->stop_timer);
			loop_stop(gw->loop);
			return;
		}
		gw->wave--;
		for (size_t i = 0; i < gw->nprocesses; i++)
			if (gw->processes[i].def->wave == gw->wave)
				tell_stop(&gw->processes[i], gw->stop_grace_ms);
		retired_stop(gw, true, gw->stop_grace_ms);
		if (gw->wave == WAVE_ASKED)
			retired_stop(gw, false, gw->stop_grace_ms);
		timer_set(gw->stop_timer, gw->stop_grace_ms + STOP_SLACK_MS);
	}
}

void
watch_leave(struct process *p, uint32_t grace_ms)
{
	p->leave = LEAVE_FOR_GOOD;
	if (p->pid == 0) {
		timer_stop(p->timer);
		return;
	}
	tell_stop(p, grace_ms);
	timer_set(p->timer, grace_ms + STOP_SLACK_MS);
}

void
watch_return(struct process *p)
{
	p->leave = p->pid == 0 ? LEAVE_NOT : LEAVE_AND_RETURN;
	if (p->pid != 0)
		return;
	/* It may wait for another try: that would take it for one that does
	 * not end. */
	timer_stop(p->timer);
	start(p);
}

void
watch_stop(struct gateway *gw, uint32_t grace_ms)
{
	if (gw->stopping) {
		watch_kill(gw);
		return;
	}
	notify_stopping();
	upgrade_cancel(gw);
	gw->stopping = true;
	gw->stop_grace_ms = grace_ms;
	gw->stop_timer = timer_new(gw->loop, kill_wave, gw);
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (gw->processes[i].pid == 0)
			timer_stop(gw->processes[i].timer);
	/* One beyond the last is an empty wave. */
	gw->wave = WAVE_COUNT;
	stop_wave(gw);
}

void
watch_kill(struct gateway *gw)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		kill_process(&gw->processes[i]);
	retired_kill(gw, true);
	for (size_t i = 0; i < gw->nprocesses; i++) {
		struct process *p = &gw->processes[i];
		while (p->pid != 0 && !p->reaped &&
		       waitpid(p->pid, NULL, 0) == -1 && errno == EINTR)
			continue;
	}
	loop_stop(gw->loop);
}
