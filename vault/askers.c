#include "vault/askers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

enum { JOBS_LEAST = 4 /* of one asker, however many there are */ };

static struct {
	struct loop *loop;
	struct askers_limits limits;
	TAILQ_HEAD(, asker) list; /* whose turn is next is in front */
	size_t n;
	struct deferred round; /* jobs are done behind this round */
	struct timer *more;    /* and behind the next */
} askers;

/* --- jobs --- */

static void
job_free(struct job *j)
{
	explicit_bzero(j->bytes, j->size);
	free(j);
}

static struct job *
job_copy(const struct job *like)
{
	size_t size = 0, at = 0;
	for (size_t i = 0; i < JOB_PARTS; i++)
		size += like->parts[i].len;
	struct job *j = xcalloc(1, sizeof(*j) + size);
	j->id = like->id;
	j->run = like->run;
	j->scheme = like->scheme;
	j->size = size;
	for (size_t i = 0; i < JOB_PARTS; i++) {
		struct str part = like->parts[i];
		if (part.len > 0)
			memcpy(j->bytes + at, part.p, part.len);
		j->parts[i] = (struct str){ j->bytes + at, part.len };
		at += part.len;
	}
	return j;
}

static struct job *
first_job(struct asker *a)
{
	struct job *j = STAILQ_FIRST(&a->jobs);
	if (j != NULL) {
		STAILQ_REMOVE_HEAD(&a->jobs, next);
		a->njobs--;
	}
	return j;
}

/* Of the first who has one, who goes to the end then. NULL: nobody has. */
static struct asker *
next_turn(void)
{
	struct asker *a;
	TAILQ_FOREACH(a, &askers.list, next)
		if (a->njobs > 0)
			break;
	if (a == NULL)
		return NULL;
	TAILQ_REMOVE(&askers.list, a, next);
	TAILQ_INSERT_TAIL(&askers.list, a, next);
	return a;
}

static void
on_round(void *unused)
{
	struct asker *a;
	(void)unused;
	for (size_t i = 0; i < askers.limits.in_round; i++) {
		if ((a = next_turn()) == NULL)
			return;
		struct job *j = first_job(a);
		j->run(a->channel, j);
		job_free(j);
	}
	timer_set(askers.more, 0);
}

static void
on_more(void *unused)
{
	(void)unused;
	loop_after(askers.loop, &askers.round);
}

bool
askers_put_off(struct asker *a, const struct job *like)
{
	size_t most = askers.limits.jobs / askers.n;
	if (a->njobs >= (most > JOBS_LEAST ? most : JOBS_LEAST))
		return false;
	struct job *j = job_copy(like);
	STAILQ_INSERT_TAIL(&a->jobs, j, next);
	a->njobs++;
	if (!timer_is_set(askers.more))
		loop_after(askers.loop, &askers.round);
	return true;
}

/* --- who asks --- */

static void
asker_free(struct asker *a)
{
	struct job *j;
	while ((j = first_job(a)) != NULL)
		job_free(j);
	TAILQ_REMOVE(&askers.list, a, next);
	askers.n--;
	channel_free(&a->channel);
	free(a);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ch;
	asker_free(ctx);
}

static void
on_drained(void *ctx)
{
	struct asker *a = ctx;
	channel_resume(a->channel);
}

void
askers_init(struct loop *l, struct askers_limits limits)
{
	askers.loop = l;
	askers.limits = limits;
	TAILQ_INIT(&askers.list);
	askers.n = 0;
	deferred_init(&askers.round, on_round, NULL);
	askers.more = timer_new(l, on_more, NULL);
}

struct channel *
askers_add(const struct asker_kind *kind, uint16_t instance, int socket)
{
	struct asker *a, *next;
	char name[32];
	for (a = TAILQ_FIRST(&askers.list); a != NULL; a = next) {
		next = TAILQ_NEXT(a, next);
		if (a->role == kind->role && a->instance == instance)
			asker_free(a);
	}
	a = xcalloc(1, sizeof(*a));
	a->role = kind->role;
	a->instance = instance;
	STAILQ_INIT(&a->jobs);
	a->channel = channel_new(askers.loop, socket, kind->edge, EDGE_B,
	    kind->handlers, on_closed, a);
	snprintf(name, sizeof(name), "%s/%u", role_name(kind->role), instance);
	channel_set_peer(a->channel, name);
	channel_on_drained(a->channel, on_drained, a);
	TAILQ_INSERT_TAIL(&askers.list, a, next);
	askers.n++;
	return a->channel;
}

void
askers_answer(struct channel *ch, uint16_t type, const void *msg, uint64_t id)
{
	channel_tell(ch, type, msg, id);
	if (channel_is_full(ch))
		channel_pause(ch);
}

void
askers_clear(void)
{
	struct asker *a;
	while ((a = TAILQ_FIRST(&askers.list)) != NULL)
		asker_free(a);
	loop_after_cancel(askers.loop, &askers.round);
	timer_free(&askers.more);
}
