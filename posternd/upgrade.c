#include "posternd/upgrade.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "posternd/columns.h"
#include "posternd/environment.h"
#include "posternd/handover.h"
#include "posternd/links.h"
#include "posternd/notify.h"
#include "posternd/rehearsal.h"
#include "posternd/retired.h"
#include "posternd/watch.h"

enum {
	MOVE_MS = 10000, /* for what the queue has been asked */
	AGAIN_MS = 10,
	TRIES = 200 /* for the rest of a message */
};

enum stage {
	STAGE_CHECKING,
	STAGE_AGENTS,
	STAGE_MOVING,
	STAGE_QUEUE,
	STAGE_LEAVING,
	STAGES
};

struct upgrade {
	struct gateway *gw;
	enum stage stage;
	struct timer *timer;
	bool late;    /* the stage has had its time */
	bool settled; /* no signal is on its way to a handler of ours */
	unsigned int tries;
};

/* When a process stops for it; smtpds move then, and the rest stays with
 * them. */
static const enum stage ends_in[ROLE_COUNT] = {
	[ROLE_SMTPD] = STAGE_MOVING,
	[ROLE_DIALER] = STAGE_MOVING,
	[ROLE_RESOLVER] = STAGE_MOVING,
	[ROLE_VAULT] = STAGE_MOVING,
	[ROLE_QUEUE] = STAGE_QUEUE,
	[ROLE_DELIVERY] = STAGE_AGENTS,
	[ROLE_MAILDIR] = STAGE_AGENTS,
	[ROLE_MDA] = STAGE_AGENTS,
	[ROLE_FETCH] = STAGE_AGENTS,
	[ROLE_CONTROL] = STAGE_AGENTS,
	[ROLE_WEB] = STAGE_AGENTS,
};

bool
upgrade_is_running(const struct gateway *gw)
{
	return gw->upgrade != NULL;
}

bool
upgrade_wants_none(const struct process *p)
{
	const struct upgrade *u = p->gw->upgrade;
	if (u == NULL)
		return false;
	enum stage last = ends_in[p->def->role];
	/* Its smtpds have moved on from it: they would not know another one. */
	return u->stage >= (last == STAGE_QUEUE ? STAGE_MOVING : last);
}

static void
end(struct gateway *gw)
{
	if (gw->upgrade != NULL)
		timer_free(&gw->upgrade->timer);
	free(gw->upgrade);
	gw->upgrade = NULL;
}

/* --- who stops --- */

static void
stop_role(struct upgrade *u, enum stage stage)
{
	struct gateway *gw = u->gw;
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (ends_in[gw->processes[i].def->role] == stage)
			watch_leave(&gw->processes[i], STOP_GRACE_MS);
}

static bool
is_gone(const struct upgrade *u, enum stage stage)
{
	const struct gateway *gw = u->gw;
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (ends_in[gw->processes[i].def->role] == stage &&
		    gw->processes[i].pid != 0)
			return false;
	return true;
}

static void
begin_agents(struct upgrade *u)
{
	notify_reloading();
	stop_role(u, STAGE_AGENTS);
}

static bool
are_agents_gone(const struct upgrade *u)
{
	return is_gone(u, STAGE_AGENTS);
}

static void
begin_queue(struct upgrade *u)
{
	stop_role(u, STAGE_QUEUE);
}

static bool
is_queue_gone(const struct upgrade *u)
{
	return is_gone(u, STAGE_QUEUE);
}

/* --- who moves --- */

static struct process *
find_queue(const struct gateway *gw)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (gw->processes[i].def->role == ROLE_QUEUE)
			return &gw->processes[i];
	return NULL;
}

static void
move(struct process *smtpd, uint32_t grace_ms)
{
	struct tell_retire m = { .grace_ms = grace_ms };
	smtpd->moved = false;
	channel_tell(smtpd->ch, TYPE_tell_retire, &m, 0);
	(void)links_hold(smtpd, find_queue(smtpd->gw));
}

static void
begin_moving(struct upgrade *u)
{
	struct gateway *gw = u->gw;
	struct retired *r;
	for (size_t i = 0; i < gw->nprocesses; i++) {
		struct process *p = &gw->processes[i];
		if (ends_in[p->def->role] != STAGE_MOVING)
			continue;
		if (p->state != PROCESS_READY || p->ch == NULL)
			watch_leave(p, STOP_GRACE_MS);
		else if (p->def->role == ROLE_SMTPD) {
			/* Without sessions it is gone soon. */
			p->leave = LEAVE_FOR_GOOD;
			move(p, RETIRED_GRACE_MS);
		}
	}
	TAILQ_FOREACH(r, &gw->retired, next)
		if (r->p.def->role == ROLE_SMTPD && r->p.ch != NULL && !r->told)
			move(&r->p, retired_grace_ms(&r->p));
	timer_set(u->timer, MOVE_MS);
}

static bool
has_moved(const struct process *p)
{
	return p->def->role != ROLE_SMTPD || p->pid == 0 || p->ch == NULL ||
	       p->moved;
}

static bool
have_all_moved(const struct upgrade *u)
{
	const struct gateway *gw = u->gw;
	const struct retired *r;
	if (u->late)
		return true;
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (!has_moved(&gw->processes[i]))
			return false;
	TAILQ_FOREACH(r, &gw->retired, next)
		if (!r->told && !has_moved(&r->p))
			return false;
	return true;
}

/* --- exec --- */

/* -1: not yet. */
static int
retire_all(struct upgrade *u)
{
	struct gateway *gw = u->gw;
	bool give_up = u->tries++ >= TRIES;
	for (size_t i = 0; i < gw->nprocesses; i++) {
		struct process *p = &gw->processes[i];
		int fd = -1;
		if (p->pid == 0)
			continue;
		if (p->ch != NULL)
			fd = channel_release(&p->ch, 0);
		/* One that was waited for is buried when all is read. */
		if (p->reaped || (p->ch != NULL && !give_up))
			return -1;
		channel_free(&p->ch);
		retired_add(p, fd);
	}
	return retired_release(gw, give_up);
}

/* One line for each descriptor of s; what is the address. */
static void
add_socket(
    struct handover *h, const struct listen_socket *s, struct inherited what)
{
	for (size_t i = 0; i < s->nfds; i++) {
		what.fd = s->fds[i];
		what.path = s->path != NULL ? xstrdup(s->path) : NULL;
		h->sockets = xreallocarray(
		    h->sockets, h->nsockets + 1, sizeof(*h->sockets));
		h->sockets[h->nsockets++] = what;
	}
}

static void
add_sockets(const struct gateway *gw, struct handover *h)
{
	for (size_t i = 0; i < gw->nlistens; i++) {
		const struct listener *l = &gw->conf->listeners[i];
		struct inherited what = { .kind = l->addr.family == ADDR_LOCAL ?
						      INHERITED_SUBMIT :
						      INHERITED_LISTEN,
			.addr = l->addr,
			.port = l->port,
			.smtps = (l->flags & LISTENER_SMTPS) != 0 };
		add_socket(h, &gw->listens[i], what);
	}
	add_socket(
	    h, &gw->control, (struct inherited){ .kind = INHERITED_CONTROL });
	add_socket(h, &gw->http,
	    (struct inherited){ .kind = INHERITED_HTTP,
		.addr = gw->conf->http_addr,
		.port = gw->conf->http_port });
}

void
upgrade_describe(const struct gateway *gw, struct handover *h)
{
	struct str keys = tickets_keys(&gw->tickets);
	*h = (struct handover){ .pid = getpid(),
		.started_ms = gw->started_ms,
		.restarts = gw->restarts + 1,
		.log_level = (unsigned int)gw->log_level,
		.oom_others = environment_others(),
		.log_fd = gw->log_fd,
		.log_sink = gw->log_sink,
		.log_json = gw->conf->log_json,
		.ntickets = keys.len };
	memcpy(h->tickets, keys.p, keys.len);
	add_sockets(gw, h);
}

static void
log_leaving(const struct gateway *gw, const char *program)
{
	const struct retired *r;
	size_t n = 0;
	TAILQ_FOREACH(r, &gw->retired, next)
		if (r->p.def->role == ROLE_SMTPD)
			n++;
	log_info(NULL, "upgrade", "program=%s restarts=%u retired=%zu",
	    log_cstr(program), gw->restarts + 1, n);
	log_flush();
}

/* Returns only when it fails. */
static void
become(struct gateway *gw, struct fault *why)
{
	char **env, *program = rehearsal_program(gw);
	struct handover h;
	upgrade_describe(gw, &h);
	retired_hand_over(gw, &h);
	log_leaving(gw, program);
	int fd = handover_write(&h, why);
	if (fd != -1) {
		env = environment_of_successor(HANDOVER_VARIABLE, fd);
		execve(program, gw->again, env);
		fault_errno(why, FAULT_OURS, "%s", program);
		environment_free(env);
		handover_take_back(&h, fd);
	}
	handover_clear(&h);
	free(program);
}

/* There is no way back to what was: smtpds have been told. */
static void
start_again(struct gateway *gw, const char *text)
{
	struct fault why = { 0 };
	log_warn(NULL, "upgrade", "result=failed why=%s", log_cstr(text));
	end(gw);
	environment_release_signals();
	gw->restarts++;
	retired_resume(gw);
	if (columns_make(gw, &why) == -1)
		log_warn(NULL, "upgrade", "why=%s", log_cstr(why.text));
	gw->ready = false;
	gw->keeps_trying = true;
	watch_start(gw);
}

/* A signal that was caught and that the loop has not heard of would be lost
 * with us: from here on they wait for who follows. */
static void
begin_leaving(struct upgrade *u)
{
	environment_hold_signals(true);
	timer_set(u->timer, AGAIN_MS);
}

static void
leave(struct upgrade *u)
{
	struct gateway *gw = u->gw;
	struct fault why = { 0 };
	bool settled = u->settled;
	/* One whole round between the two. */
	u->settled = true;
	if (!settled || retire_all(u) == -1) {
		timer_set(u->timer, AGAIN_MS);
		return;
	}
	become(gw, &why);
	start_again(gw, why.text);
}

/* --- step by step --- */

static const struct {
	void (*begin)(struct upgrade *u);
	bool (*is_over)(const struct upgrade *u); /* NULL: not by itself */
} stages[STAGES] = {
	[STAGE_CHECKING] = { NULL, NULL },
	[STAGE_AGENTS] = { begin_agents, are_agents_gone },
	[STAGE_MOVING] = { begin_moving, have_all_moved },
	[STAGE_QUEUE] = { begin_queue, is_queue_gone },
	[STAGE_LEAVING] = { begin_leaving, NULL },
};

static void
go_to(struct upgrade *u, enum stage stage)
{
	timer_stop(u->timer);
	u->late = false;
	u->stage = stage;
	log_debug(NULL, "upgrade", "stage=%d", (int)stage);
	stages[stage].begin(u);
}

void
upgrade_step(struct gateway *gw)
{
	struct upgrade *u = gw->upgrade;
	while (u != NULL && stages[u->stage].is_over != NULL &&
	       stages[u->stage].is_over(u))
		go_to(u, u->stage + 1);
}

static void
on_timer(void *ctx)
{
	struct upgrade *u = ctx;
	if (u->stage == STAGE_LEAVING) {
		leave(u);
		return;
	}
	u->late = true;
	upgrade_step(u->gw);
}

static void
on_checked(struct gateway *gw, bool good)
{
	if (!good) {
		log_warn(NULL, "upgrade", "result=refused why=%s",
		    log_cstr("the new program cannot start: all stays"));
		end(gw);
		return;
	}
	/* What it has seen is what holds; not if that changes just now. */
	if (gw->reloading || !gw->ready) {
		log_warn(NULL, "upgrade", "result=refused why=%s",
		    log_cstr("a reload is in progress"));
		end(gw);
		return;
	}
	go_to(gw->upgrade, STAGE_AGENTS);
	upgrade_step(gw);
}

static const char *
why_not(const struct gateway *gw)
{
	if (gw->stopping)
		return "the gateway is stopping";
	if (!gw->ready)
		return "the gateway is not ready yet";
	if (gw->reloading)
		return "a reload is in progress";
	if (gw->upgrade != NULL)
		return "a restart is in progress";
	/* It would hold for good. */
	return gw->confirm != NULL ? "a configuration waits for its confirm" :
				     NULL;
}

void
upgrade_start(struct gateway *gw)
{
	const char *why = why_not(gw);
	if (why != NULL) {
		log_warn(
		    NULL, "upgrade", "result=refused why=%s", log_cstr(why));
		return;
	}
	gw->upgrade = xcalloc(1, sizeof(*gw->upgrade));
	gw->upgrade->gw = gw;
	gw->upgrade->timer = timer_new(gw->loop, on_timer, gw->upgrade);
	if (rehearsal_start(gw, on_checked) == -1)
		end(gw);
}

bool
upgrade_reap(struct gateway *gw, pid_t pid, int status)
{
	return rehearsal_reap(gw, pid, status);
}

/* What the smtpds commit goes to the queue that is still there. */
static void
give_back(struct gateway *gw)
{
	struct process *queue = find_queue(gw);
	struct retired *r;
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (gw->processes[i].queue_end != NULL)
			links_give(queue, &gw->processes[i]);
	TAILQ_FOREACH(r, &gw->retired, next)
		if (r->p.queue_end != NULL)
			links_give(queue, &r->p);
}

static void
drop(struct gateway *gw)
{
	struct retired *r;
	for (size_t i = 0; i < gw->nprocesses; i++)
		links_drop(&gw->processes[i]);
	TAILQ_FOREACH(r, &gw->retired, next)
		links_drop(&r->p);
}

void
upgrade_cancel(struct gateway *gw)
{
	const struct upgrade *u = gw->upgrade;
	const struct process *queue = find_queue(gw);
	if (u == NULL)
		return;
	rehearsal_cancel();
	if (u->stage == STAGE_MOVING && queue != NULL && queue->ch != NULL)
		give_back(gw);
	else if (u->stage >= STAGE_MOVING)
		drop(gw);
	if (u->stage == STAGE_LEAVING) {
		environment_release_signals();
		retired_resume(gw);
	}
	end(gw);
}
