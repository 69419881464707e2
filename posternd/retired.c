#include "posternd/retired.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "posternd/links.h"
#include "posternd/spawn.h"
#include "posternd/watch.h"

enum {
	/* Beyond what they give themselves. */
	SLACK_MS = 10000
};

static bool
is_smtpd(const struct retired *r)
{
	return r->p.def->role == ROLE_SMTPD;
}

static struct retired *
of(struct process *p)
{
	return (
	    struct retired *)(void *)((char *)p - offsetof(struct retired, p));
}

/* --- they come --- */

static void
on_timer(void *ctx)
{
	struct retired *r = ctx;
	log_warn(NULL, "retired", "process=%s pid=%d why=%s",
	    role_name(r->p.def->role), (int)r->p.pid,
	    log_cstr("did not stop in time"));
	kill(r->p.pid, SIGKILL);
}

static void
await_end(struct retired *r, uint64_t ms)
{
	timer_set(r->timer, ms + SLACK_MS);
}

static void
await_until(struct retired *r)
{
	uint64_t now = clock_mono_ms();
	if (r->until_ms != 0)
		await_end(r, r->until_ms > now ? r->until_ms - now : 0);
}

static uint16_t
free_instance(struct gateway *gw)
{
	uint16_t n = INSTANCE_RETIRED;
	while (retired_find(gw, ROLE_SMTPD, n) != NULL)
		n++;
	return n;
}

static struct retired *
add(struct gateway *gw, const struct role_def *def, pid_t pid)
{
	struct retired *r = xcalloc(1, sizeof(*r));
	r->p.gw = gw;
	r->p.def = def;
	r->p.pid = pid;
	r->p.state = PROCESS_READY;
	r->p.sandbox =
	    xstrdup(def->role == ROLE_SMTPD ? "retired: finishes its sessions" :
					      "retired: serves retired smtpds");
	r->parent = -1;
	r->timer = timer_new(gw->loop, on_timer, r);
	TAILQ_INSERT_TAIL(&gw->retired, r, next);
	return r;
}

void
retired_add(struct process *p, int parent)
{
	struct gateway *gw = p->gw;
	uint16_t instance = p->instance;
	if (p->def->role == ROLE_SMTPD)
		instance = free_instance(gw);
	struct retired *r = add(gw, p->def, p->pid);
	r->p.instance = instance;
	r->p.started_ms = p->started_ms;
	r->p.queue_end = p->queue_end;
	r->edges = edges_hash();
	r->generation = gw->restarts;
	r->parent = parent;
	if (is_smtpd(r))
		r->until_ms = clock_mono_ms() + RETIRED_GRACE_MS;
	await_until(r);
	links_forget(p);
	timer_stop(p->timer);
	p->queue_end = NULL;
	p->pid = 0;
	p->state = PROCESS_DOWN;
	p->reaped = false;
	p->leave = LEAVE_NOT;
}

static const struct role_def *
find_role(enum role role)
{
	for (size_t i = 0; i < role_table_size; i++)
		if (role_table[i].role == role)
			return &role_table[i];
	return NULL;
}

static void
close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

void
retired_adopt(struct gateway *gw, const struct handed_process *h)
{
	const struct role_def *def = find_role(h->role);
	int parent = h->parent, queue = h->queue;
	if (def == NULL) {
		close_fd(&parent);
		close_fd(&queue);
		return;
	}
	struct retired *r = add(gw, def, h->pid);
	r->p.instance = h->instance;
	r->p.started_ms = h->started_ms;
	r->edges = h->edges;
	r->generation = h->generation;
	r->until_ms = h->until_ms;
	r->parent = parent;
	if (queue != -1)
		r->p.queue_end = links_keep(queue, h->number);
	await_until(r);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	struct process *p = ctx;
	if (p->ch != ch)
		return;
	channel_free(&p->ch);
	await_end(of(p), 0);
}

void
retired_resume(struct gateway *gw)
{
	struct retired *r;
	TAILQ_FOREACH(r, &gw->retired, next) {
		if (r->edges != edges_hash()) {
			links_drop(&r->p);
			continue;
		}
		if (r->parent == -1)
			continue;
		r->p.ch = channel_adopt(gw->loop, r->parent, &all_parent_edge,
		    EDGE_B, from_children_handlers, on_closed, &r->p);
		channel_set_peer(r->p.ch, role_name(r->p.def->role));
		r->parent = -1;
	}
	retired_check(gw);
}

/* --- on to the next one --- */

int
retired_release(struct gateway *gw, bool give_up)
{
	struct retired *r;
	TAILQ_FOREACH(r, &gw->retired, next) {
		if (r->p.ch == NULL)
			continue;
		r->parent = channel_release(&r->p.ch, 0);
		if (r->parent == -1 && !give_up)
			return -1;
		channel_free(&r->p.ch);
	}
	return 0;
}

void
retired_hand_over(struct gateway *gw, struct handover *h)
{
	const struct retired *r;
	TAILQ_FOREACH(r, &gw->retired, next) {
		const struct queue_end *q = r->p.queue_end;
		struct handed_process m = { .role = r->p.def->role,
			.instance = r->p.instance,
			.edges = r->edges,
			.generation = r->generation,
			.pid = r->p.pid,
			.started_ms = r->p.started_ms,
			.until_ms = r->until_ms,
			.parent = r->parent,
			.queue = q != NULL ? q->fd : -1,
			.number = q != NULL ? q->number : 0 };
		h->processes = xreallocarray(
		    h->processes, h->nprocesses + 1, sizeof(*h->processes));
		h->processes[h->nprocesses++] = m;
	}
}

uint32_t
retired_grace_ms(struct process *p)
{
	const struct retired *r = of(p);
	uint64_t now = clock_mono_ms();
	return r->until_ms > now ? (uint32_t)(r->until_ms - now) : 1;
}

/* --- they go --- */

static void
tell_stop(struct retired *r, uint32_t grace_ms)
{
	struct tell_stop m = { .grace_ms = grace_ms };
	if (r->told)
		return;
	r->told = true;
	if (r->p.ch != NULL)
		channel_tell(r->p.ch, TYPE_tell_stop, &m, 0);
	/* Whom we cannot tell ends when we are gone, as far as it knows. */
	close_fd(&r->parent);
	await_end(r, grace_ms);
}

/* Does anybody of its time still have sessions? */
static bool
is_needed(const struct retired *support)
{
	const struct retired *r;
	TAILQ_FOREACH(r, &support->p.gw->retired, next)
		if (is_smtpd(r) && r->generation == support->generation)
			return true;
	return false;
}

/* In how many generations there are smtpds that go on; *oldest: of these. */
static size_t
count_generations(const struct gateway *gw, uint32_t *oldest)
{
	const struct retired *r;
	uint32_t last = 0;
	size_t n = 0;
	/* They stand in the order of their generations. */
	TAILQ_FOREACH(r, &gw->retired, next) {
		/* What is freed is out of the list. */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		if (!is_smtpd(r) || r->told)
			continue;
		if (n == 0)
			*oldest = r->generation;
		if (n == 0 || r->generation != last)
			n++;
		last = r->generation;
	}
	return n;
}

static void
stop_oldest(struct gateway *gw, uint32_t generation)
{
	struct retired *r;
	TAILQ_FOREACH(r, &gw->retired, next) {
		if (!is_smtpd(r) || r->generation != generation)
			continue;
		log_warn(NULL, "retired", "process=%s pid=%d why=%s",
		    role_name(ROLE_SMTPD), (int)r->p.pid,
		    log_cstr("too many restarts: its time is up"));
		tell_stop(r, STOP_GRACE_MS);
	}
}

void
retired_check(struct gateway *gw)
{
	struct retired *r;
	uint32_t oldest;
	while (count_generations(gw, &oldest) > RETIRED_GENERATIONS_MAX)
		stop_oldest(gw, oldest);
	TAILQ_FOREACH(r, &gw->retired, next)
		if (!is_smtpd(r) && !is_needed(r))
			tell_stop(r, STOP_GRACE_MS);
}

static void
forget(struct retired *r)
{
	TAILQ_REMOVE(&r->p.gw->retired, r, next);
	links_forget(&r->p);
	links_drop(&r->p);
	channel_free(&r->p.ch);
	close_fd(&r->parent);
	timer_free(&r->timer);
	free(r->p.sandbox);
	free(r->p.failure);
	free(r);
}

bool
retired_reap(struct gateway *gw, pid_t pid, int status)
{
	struct retired *r;
	TAILQ_FOREACH(r, &gw->retired, next)
		if (r->p.pid == pid)
			break;
	if (r == NULL)
		return false;
	if (status != 0)
		log_warn(NULL, "retired", "process=%s pid=%d status=%d why=%s",
		    role_name(r->p.def->role), (int)pid, status,
		    log_cstr("died"));
	else
		log_info(NULL, "retired", "process=%s pid=%d result=ended",
		    role_name(r->p.def->role), (int)pid);
	forget(r);
	retired_check(gw);
	return true;
}

void
retired_connect(struct gateway *gw, struct process *p)
{
	struct retired *r;
	TAILQ_FOREACH(r, &gw->retired, next) {
		if (!is_smtpd(r) || r->p.ch == NULL)
			continue;
		if (p->def->role == ROLE_QUEUE && r->p.queue_end != NULL)
			links_give(p, &r->p);
		else if (p->def->role == ROLE_QUEUE ||
			 p->def->role == ROLE_CONTROL)
			links_join(p, &r->p);
	}
}

struct process *
retired_find(struct gateway *gw, enum role role, uint16_t instance)
{
	struct retired *r;
	TAILQ_FOREACH(r, &gw->retired, next)
		if (r->p.def->role == role && r->p.instance == instance)
			return &r->p;
	return NULL;
}

void
retired_tell_log(struct gateway *gw)
{
	struct retired *r;
	TAILQ_FOREACH(r, &gw->retired, next)
		spawn_tell_log(&r->p);
}

void
retired_stop(struct gateway *gw, bool smtpds, uint32_t grace_ms)
{
	struct retired *r;
	TAILQ_FOREACH(r, &gw->retired, next)
		if (is_smtpd(r) == smtpds)
			tell_stop(r, grace_ms);
}

bool
retired_are_gone(const struct gateway *gw, bool smtpds)
{
	const struct retired *r;
	TAILQ_FOREACH(r, &gw->retired, next)
		if (is_smtpd(r) == smtpds)
			return false;
	return true;
}

void
retired_kill(struct gateway *gw, bool wait)
{
	struct retired *r;
	TAILQ_FOREACH(r, &gw->retired, next)
		kill(r->p.pid, SIGKILL);
	TAILQ_FOREACH(r, &gw->retired, next)
		while (
		    wait && waitpid(r->p.pid, NULL, 0) == -1 && errno == EINTR)
			continue;
}
