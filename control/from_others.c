/*
 * What the processes say to control: rows, which go on to whoever asked, and
 * answers, which channel_ask's callback (router.c) gets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/answerer.h"
#include "edges/control_all.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

static TAILQ_HEAD(, answerer) answerers = TAILQ_HEAD_INITIALIZER(answerers);

/* Each kind of row goes the same way; only its type has to be kept. */
#define ROW_FUNCTION(row, direction, phases, once)                       \
	static void on_##row(                                            \
	    void *ctx, struct channel *ch, const void *msg, uint64_t id) \
	{                                                                \
		struct answerer *a = ctx;                                \
		(void)ch;                                                \
		route_row(&a->legs, id, TYPE_##row, msg);                \
	}
CONTROL_ROWS(ROW_FUNCTION)

#define ROW_HANDLER(row, direction, phases, once) { TYPE_##row, on_##row },
static const struct handler handlers[] = { CONTROL_ROWS(ROW_HANDLER){
    0, NULL } };

static void
answerer_free(struct answerer **ap)
{
	struct answerer *a = *ap;

	*ap = NULL;
	TAILQ_REMOVE(&answerers, a, link);
	route_gone(&a->legs, a->ch);
	channel_free(&a->ch);
	loop_after_cancel(a->loop, &a->resume);
	free(a);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	struct answerer *a = ctx;

	(void)ch;
	log_info(NULL, "peer-gone", "peer=%s instance=%u",
	    log_cstr(role_name(a->role)), a->instance);
	answerer_free(&a);
}

static void
resume(void *ctx)
{
	struct answerer *a = ctx;

	if (a->pauses == 0)
		channel_resume(a->ch);
}

struct channel *
answerer_add(struct loop *l, enum role role, uint16_t instance, int fd)
{
	enum edge_end end;
	struct answerer *a, *next;
	char name[32];
	const struct edge *edge = edges_between(ROLE_CONTROL, role, &end);

	if (edge == NULL || end != EDGE_A) {
		log_warn(
		    NULL, "peer-unknown", "peer=%s", log_cstr(role_name(role)));
		close(fd);
		return NULL;
	}
	TAILQ_FOREACH_SAFE(a, &answerers, link, next)
		if (a->role == role && a->instance == instance)
			answerer_free(&a);
	a = xcalloc(1, sizeof(*a));
	a->role = role;
	a->instance = instance;
	a->loop = l;
	TAILQ_INIT(&a->legs);
	deferred_init(&a->resume, resume, a);
	a->ch = channel_new(l, fd, edge, end, handlers, on_closed, a);
	snprintf(name, sizeof(name), "%s/%u", role_name(role), instance);
	channel_set_peer(a->ch, name);
	TAILQ_INSERT_TAIL(&answerers, a, link);
	route_joined(a);
	return a->ch;
}

struct answerer *
answerer_find(enum role role)
{
	struct answerer *a, *found = NULL;

	TAILQ_FOREACH(a, &answerers, link)
		if (a->role == role && channel_is_open(a->ch) &&
		    (found == NULL || a->instance < found->instance))
			found = a;
	return found;
}

struct answerer *
answerer_next(struct answerer *before)
{
	return before == NULL ? TAILQ_FIRST(&answerers) :
				TAILQ_NEXT(before, link);
}

void
answerer_pause(struct answerer *a)
{
	if (a->pauses++ == 0)
		channel_pause(a->ch);
}

void
answerer_resume(struct answerer *a)
{
	if (--a->pauses == 0)
		loop_after(a->loop, &a->resume);
}

void
answerer_clear(void)
{
	struct answerer *a;

	while ((a = TAILQ_FIRST(&answerers)) != NULL)
		answerer_free(&a);
}
