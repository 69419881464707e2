/*
 * Lines, turns, capacity, back-off.
 *
 * A destination is ready (in its pool's ring of turns) when somebody waits,
 * fewer works than its concurrency are in flight, and neither back-off nor
 * rate holds it. One that must wait for a time sleeps in a tree by that time;
 * one with nothing left is freed, unless it failed lately: then its back-off
 * is remembered for a while.
 */
#include "queue/schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

enum {
	PICK_LOOKS = 1000, /* expired ones passed over in one turn */
	BACKOFF_FIRST_MS = 1000,
	BACKOFF_MAX_MS = 300000,
	/* How long an idle destination's failures are remembered. */
	FORGET_MS = 600000
};

static int
cmp_key(const struct destination *a, const struct destination *b)
{
	if (a->action != b->action)
		return (uintptr_t)a->action < (uintptr_t)b->action ? -1 : 1;
	if (a->numbers_hash != b->numbers_hash)
		return a->numbers_hash < b->numbers_hash ? -1 : 1;
	if (a->pool != b->pool)
		return a->pool < b->pool ? -1 : 1;
	return str_cmp(a->hops, b->hops);
}

static int
cmp_wake(const struct destination *a, const struct destination *b)
{
	if (a->wake_ms != b->wake_ms)
		return a->wake_ms < b->wake_ms ? -1 : 1;
	return ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b);
}

TREE_DEFINE(destination_tree, destination, by_key, cmp_key)
TREE_DEFINE(wake_tree, destination, by_wake, cmp_wake)

void
schedule_init(struct schedule *s, const struct schedule_ops *ops, void *ctx,
    struct words *words)
{
	*s = (struct schedule){
		.ops = ops,
		.ctx = ctx,
		.words = words,
		.backoff_max_ms = BACKOFF_MAX_MS,
	};
	RB_INIT(&s->destinations);
	RB_INIT(&s->sleepers);
}

/* --- pools --- */

static struct pool *
pool_get(struct schedule *s, uint32_t pool)
{
	return &s->pools[pool];
}

/* The lists' heads point into themselves: they move by hand. */
static void
move_pool(struct pool *from, struct pool *to)
{
	TAILQ_INIT(&to->agents);
	TAILQ_CONCAT(&to->agents, &from->agents, next);
	TAILQ_INIT(&to->turns);
	TAILQ_CONCAT(&to->turns, &from->turns, turn);
}

static void
pools_grow(struct schedule *s, uint32_t pool)
{
	struct pool *pools;

	if (pool < s->npools)
		return;
	pools = xcalloc(pool + 1U, sizeof(*pools));
	for (uint32_t i = 0; i <= pool; i++) {
		TAILQ_INIT(&pools[i].agents);
		TAILQ_INIT(&pools[i].turns);
		if (i < s->npools)
			move_pool(&s->pools[i], &pools[i]);
	}
	free(s->pools);
	s->pools = pools;
	s->npools = pool + 1U;
}

void
schedule_add_agent(struct schedule *s, struct agent *a, uint32_t pool)
{
	pools_grow(s, pool);
	a->pool = pool;
	TAILQ_INSERT_TAIL(&pool_get(s, pool)->agents, a, next);
}

void
schedule_del_agent(struct schedule *s, struct agent *a)
{
	struct destination *d;

	assert(a->nflight == 0);
	TAILQ_REMOVE(&pool_get(s, a->pool)->agents, a, next);
	RB_FOREACH(d, destination_tree, &s->destinations)
		if (d->last == a)
			d->last = NULL;
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
static struct agent *
choose_agent(struct schedule *s, const struct destination *d)
{
	struct agent *a, *best = NULL;

	if (d->last != NULL && agent_free(d->last) * 2 > d->last->capacity)
		return d->last;
	TAILQ_FOREACH(a, &pool_get(s, d->pool)->agents, next)
		if (agent_free(a) > 0 &&
		    (best == NULL || agent_free(a) > agent_free(best)))
			best = a;
	return best;
}

/* --- the states of a destination --- */

static uint32_t
allowed_works(const struct destination *d)
{
	uint64_t n = d->failures > 0 ? 1 : d->numbers.concurrency;

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static void
unready(struct schedule *s, struct destination *d)
{
	if (!d->ready)
		return;
	d->ready = false;
	TAILQ_REMOVE(&pool_get(s, d->pool)->turns, d, turn);
}

static void
wake(struct schedule *s, struct destination *d)
{
	if (!d->asleep)
		return;
	d->asleep = false;
	RB_REMOVE(wake_tree, &s->sleepers, d);
}

static void
sleep_until(struct schedule *s, struct destination *d, uint64_t wake_ms)
{
	unready(s, d);
	wake(s, d);
	d->wake_ms = wake_ms;
	d->asleep = true;
	RB_INSERT(wake_tree, &s->sleepers, d);
}

static void
destination_free(struct schedule *s, struct destination *d)
{
	unready(s, d);
	wake(s, d);
	RB_REMOVE(destination_tree, &s->destinations, d);
	word_drop(s->words, &d->action);
	free(d->hops_text);
	free(d);
}

void
schedule_clear(struct schedule *s)
{
	struct destination *d;

	while ((d = RB_MIN(destination_tree, &s->destinations)) != NULL)
		destination_free(s, d);
	free(s->pools);
	s->pools = NULL;
	s->npools = 0;
}

/* When the destination may go on by its back-off and its rate. */
static uint64_t
may_go_ms(const struct destination *d)
{
	return d->not_before_ms > d->rate_ms ? d->not_before_ms : d->rate_ms;
}

/* Puts d where it belongs after anything about it changed; may free it. */
static void
settle(struct schedule *s, struct destination *d, uint64_t now_ms)
{
	if (d->nwaiting == 0) {
		unready(s, d);
		if (d->nflight > 0)
			return;
		if ((d->failures == 0 && d->rate_ms <= now_ms) ||
		    (d->asleep && d->wake_ms <= now_ms))
			destination_free(s, d);
		else if (!d->asleep)
			sleep_until(s, d, now_ms + FORGET_MS);
		return;
	}
	if (d->nflight >= allowed_works(d)) {
		unready(s, d);
		return;
	}
	if (may_go_ms(d) > now_ms) {
		sleep_until(s, d, may_go_ms(d));
		return;
	}
	wake(s, d);
	if (!d->ready) {
		d->ready = true;
		TAILQ_INSERT_TAIL(&pool_get(s, d->pool)->turns, d, turn);
	}
}

/* --- recipients in and out --- */

uint64_t
schedule_hash(const struct deliver_numbers *n)
{
	const unsigned char *p = (const unsigned char *)n;
	uint64_t h = 14695981039346656037U;

	/* the struct is u64 fields only: no padding */
	for (size_t i = 0; i < sizeof(*n); i++)
		h = (h ^ p[i]) * 1099511628211U;
	return h;
}

static struct destination *
destination_get(struct schedule *s, const struct route *to)
{
	struct destination *d, key = {
		.pool = to->pool,
		.action = to->action,
		.hops = to->hops,
		.numbers_hash = to->numbers_hash,
	};

	d = RB_FIND(destination_tree, &s->destinations, &key);
	if (d != NULL)
		return d;
	pools_grow(s, to->pool);
	d = xmalloc(sizeof(*d));
	*d = key;
	d->action = word_ref(to->action);
	d->hops_text = str_dup(to->hops);
	d->hops.p = d->hops_text;
	d->numbers = *to->numbers;
	TAILQ_INIT(&d->waiting);
	RB_INSERT(destination_tree, &s->destinations, d);
	return d;
}

void
schedule_add(
    struct schedule *s, struct rcpt *r, const struct route *to, uint64_t now_ms)
{
	struct destination *d = destination_get(s, to);

	assert(r->place == PLACE_NONE);
	r->place = PLACE_WAITING;
	r->in.destination = d;
	TAILQ_INSERT_TAIL(&d->waiting, r, link);
	if (d->nwaiting++ == 0)
		settle(s, d, now_ms);
}

static void
take(struct destination *d, struct rcpt *r)
{
	assert(r->place == PLACE_WAITING && r->in.destination == d);
	TAILQ_REMOVE(&d->waiting, r, link);
	d->nwaiting--;
	r->place = PLACE_NONE;
	r->in.destination = NULL;
}

void
schedule_del(struct schedule *s, struct rcpt *r)
{
	struct destination *d = r->in.destination;

	take(d, r);
	/* Empty ones are seen to when they wake or have their turn. */
	if (d->nwaiting == 0 && !d->ready && !d->asleep && d->nflight == 0)
		sleep_until(s, d, 0);
}

void
schedule_take_all(struct schedule *s, struct rcpt_list *out)
{
	struct destination *d, *next;
	struct rcpt *r;

	for (d = RB_MIN(destination_tree, &s->destinations); d != NULL;
	     d = next) {
		next = RB_NEXT(destination_tree, &s->destinations, d);
		while ((r = TAILQ_FIRST(&d->waiting)) != NULL) {
			take(d, r);
			TAILQ_INSERT_TAIL(out, r, link);
		}
		if (d->nflight == 0)
			destination_free(s, d);
		else
			unready(s, d);
	}
}

void
schedule_hurry(struct schedule *s, struct rcpt *r, uint64_t now_ms)
{
	struct destination *d = r->in.destination;

	assert(r->place == PLACE_WAITING);
	d->not_before_ms = 0;
	if (d->asleep)
		settle(s, d, now_ms);
}

/* --- turns --- */

static void
count_rate(struct destination *d, uint64_t now_ms)
{
	const struct deliver_numbers *n = &d->numbers;
	uint64_t gap, from;

	if (n->rate == 0)
		return;
	/* Evenly spaced, with what was not used of the last second. */
	gap = n->rate_period / n->rate;
	from = now_ms > 1000 ? now_ms - 1000 : 0;
	d->rate_ms = (d->rate_ms > from ? d->rate_ms : from) + gap;
}

/* The head of d's line and those behind it of the same message. */
static uint32_t
pick(struct schedule *s, struct destination *d, struct rcpt_list *out)
{
	struct entry *e = NULL;
	struct rcpt *r, *next;
	uint32_t n = 0, looks = 0;

	TAILQ_INIT(out);
	for (r = TAILQ_FIRST(&d->waiting); r != NULL; r = next) {
		if (n == 0 && ++looks > PICK_LOOKS)
			break;
		next = TAILQ_NEXT(r, link);
		if (n > 0 && (rcpt_entry(r) != e || n >= d->numbers.recipients))
			break;
		take(d, r);
		/* The message may end with one that is not admitted. */
		if (!s->ops->admit(s->ctx, d, r))
			continue;
		e = rcpt_entry(r);
		TAILQ_INSERT_TAIL(out, r, link);
		n++;
	}
	return n;
}

/* One work for one destination: false when no agent can take it. */
static bool
one_turn(struct schedule *s, struct destination *d, uint64_t now_ms)
{
	struct agent *a = choose_agent(s, d);
	struct rcpt_list rcpts;
	uint32_t n;

	if (a == NULL)
		return false;
	unready(s, d);
	n = pick(s, d, &rcpts);
	if (n > 0) {
		d->nflight++;
		a->nflight++;
		d->last = a;
		count_rate(d, now_ms);
		/* At the end of the ring before anything else happens. */
		settle(s, d, now_ms);
		s->ops->start(s->ctx, d, a, &rcpts, n);
	} else {
		settle(s, d, now_ms);
	}
	return true;
}

static void
wake_sleepers(struct schedule *s, uint64_t now_ms)
{
	struct destination *d;

	while ((d = RB_MIN(wake_tree, &s->sleepers)) != NULL &&
	       d->wake_ms <= now_ms) {
		if (d->nwaiting > 0 || d->nflight > 0)
			wake(s, d);
		settle(s, d, now_ms);
	}
}

uint64_t
schedule_run(struct schedule *s, uint64_t now_ms)
{
	struct destination *d;

	wake_sleepers(s, now_ms);
	for (uint32_t i = 0; i < s->npools && !s->stopped; i++)
		while ((d = TAILQ_FIRST(&s->pools[i].turns)) != NULL)
			if (!one_turn(s, d, now_ms))
				break;
	d = RB_MIN(wake_tree, &s->sleepers);
	return d != NULL ? d->wake_ms + (d->wake_ms == 0) : 0;
}

static void
back_off(const struct schedule *s, struct destination *d, uint64_t now_ms)
{
	uint64_t ms = BACKOFF_FIRST_MS;

	for (uint32_t i = 0; i < d->failures && ms < s->backoff_max_ms; i++)
		ms *= 2;
	d->failures++;
	d->not_before_ms =
	    now_ms + (ms < s->backoff_max_ms ? ms : s->backoff_max_ms);
}

bool
schedule_is_put_off(const struct rcpt *r)
{
	return r->place == PLACE_WAITING && r->in.destination->failures > 0;
}

uint64_t
schedule_count_put_off(struct schedule *s)
{
	struct destination *d;
	uint64_t n = 0;

	RB_FOREACH(d, destination_tree, &s->destinations)
		if (d->failures > 0)
			n += d->nwaiting;
	return n;
}

void
schedule_done(struct schedule *s, struct destination *d, struct agent *a,
    enum work_end end, uint64_t now_ms)
{
	assert(d->nflight > 0 && a->nflight > 0);
	d->nflight--;
	a->nflight--;
	switch (end) {
	case WORK_DONE:
		d->failures = 0;
		d->not_before_ms = 0;
		break;
	case WORK_UNREACHABLE:
		/* Of many under way, the first to fail counts. */
		if (d->not_before_ms <= now_ms)
			back_off(s, d, now_ms);
		break;
	case WORK_LOST:
		break;
	}
	settle(s, d, now_ms);
}

void
schedule_put_back(struct destination *d, struct rcpt_list *rcpts)
{
	struct rcpt *r;

	while ((r = TAILQ_LAST(rcpts, rcpt_list)) != NULL) {
		TAILQ_REMOVE(rcpts, r, link);
		r->place = PLACE_WAITING;
		r->in.destination = d;
		TAILQ_INSERT_HEAD(&d->waiting, r, link);
		d->nwaiting++;
	}
}
