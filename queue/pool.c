/* Rings of turns, places, works by age. */
#include "queue/pool.h"

#include <assert.h>

void
pool_init(struct pool *p)
{
	TAILQ_INIT(&p->agents);
	TAILQ_INIT(&p->flights);
	for (int i = 0; i < CLASSES; i++)
		TAILQ_INIT(&p->turns[i]);
}

void
pool_move(struct pool *from, struct pool *to)
{
	*to = *from;
	pool_init(to);
	TAILQ_CONCAT(&to->agents, &from->agents, next);
	TAILQ_CONCAT(&to->flights, &from->flights, next);
	for (int i = 0; i < CLASSES; i++)
		TAILQ_CONCAT(&to->turns[i], &from->turns[i], turn);
}

/* --- rings --- */

void
pool_add_turn(struct pool *p, struct destination *d)
{
	if (d->ready)
		return;
	d->ready = true;
	TAILQ_INSERT_TAIL(&p->turns[d->class], d, turn);
}

void
pool_del_turn(struct pool *p, struct destination *d)
{
	if (!d->ready)
		return;
	d->ready = false;
	TAILQ_REMOVE(&p->turns[d->class], d, turn);
}

void
pool_classify(struct pool *p, struct destination *d)
{
	uint8_t class = destination_class(d);
	bool ready = d->ready;

	if (class == d->class)
		return;
	pool_del_turn(p, d);
	p->nflight[d->class] -= d->nflight;
	p->nflight[class] += d->nflight;
	d->class = class;
	if (ready)
		pool_add_turn(p, d);
}

/* May one more work of this class be in flight? */
static bool
has_place(const struct pool *p, unsigned int class)
{
	uint64_t bad = p->nflight[CLASS_BAD];

	if (class == CLASS_BAD && bad >= p->capacity - p->capacity / 2)
		return false;
	return class == CLASS_GOOD ||
	       bad + p->nflight[CLASS_NEW] < p->capacity - p->capacity / 4;
}

struct destination *
pool_next_turn(struct pool *p)
{
	for (unsigned int i = 0; i < CLASSES; i++) {
		unsigned int class = (p->next + i) % CLASSES;
		struct destination *d = TAILQ_FIRST(&p->turns[class]);

		if (d == NULL || !has_place(p, class))
			continue;
		p->next = class + 1;
		return d;
	}
	return NULL;
}

/* --- places --- */

void
pool_look(struct pool *p, uint64_t now_ms)
{
	struct flight *f;
	struct agent *a;

	p->capacity = 0;
	TAILQ_FOREACH(a, &p->agents, next)
		p->capacity += a->capacity;
	while ((f = TAILQ_FIRST(&p->flights)) != NULL &&
	       now_ms - f->begun_ms > SLOW_MS) {
		TAILQ_REMOVE(&p->flights, f, next);
		f->slow = true;
		f->destination->nslow++;
		pool_classify(p, f->destination);
	}
}

static uint32_t
agent_free(const struct agent *a)
{
	return a->blocked || a->nflight >= a->capacity ?
		   0 :
		   a->capacity - a->nflight;
}

/* The one that had this destination's last work keeps connections to it:
 * preferred while it is less than half full; else the one with most room. */
struct agent *
pool_choose_agent(struct pool *p, const struct destination *d)
{
	struct agent *a, *best = NULL;

	if (d->last != NULL && agent_free(d->last) * 2 > d->last->capacity)
		return d->last;
	TAILQ_FOREACH(a, &p->agents, next)
		if (agent_free(a) > 0 &&
		    (best == NULL || agent_free(a) > agent_free(best)))
			best = a;
	return best;
}

void
pool_begin(struct pool *p, struct flight *f)
{
	struct destination *d = f->destination;

	TAILQ_INSERT_TAIL(&p->flights, f, next);
	p->nflight[d->class]++;
	d->nflight++;
	d->last = f->agent;
	f->agent->nflight++;
}

void
pool_end(struct pool *p, struct flight *f)
{
	struct destination *d = f->destination;

	assert(d->nflight > 0 && f->agent->nflight > 0);
	if (f->slow)
		d->nslow--;
	else
		TAILQ_REMOVE(&p->flights, f, next);
	p->nflight[d->class]--;
	d->nflight--;
	f->agent->nflight--;
}
