/*
 * Lines, sleep, turns.
 *
 * A destination is ready (in a ring of turns of its pool) when somebody
 * waits, fewer works than its window are in flight, and neither back-off nor
 * rate holds it. One that must wait for a time sleeps in a tree by that time;
 * one with nothing left is freed, unless there is something to remember of
 * it for a while. queue/destination.c says how it behaves, queue/pool.h who
 * may have how many places.
 *
 * No step costs more than O(log n) in the number of destinations. The two
 * that walk over all of them are rare: an agent that died, and a reload.
 */
#include "queue/schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

enum {
	PICK_LOOKS = 1000, /* expired ones passed over in one turn */
	SWEEP_SHARE = 16,  /* of a line that rests, looked at with each probe */
	HELD_LOOK_MS = 60000, /* a held one is swept at least so often */
	BACKOFF_MAX_MS = 300000
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
	if (a->held != b->held)
		return a->held ? 1 : -1;
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

static void
pools_grow(struct schedule *s, uint32_t pool)
{
	struct pool *pools;

	if (pool < s->npools)
		return;
	pools = xcalloc(pool + 1U, sizeof(*pools));
	for (uint32_t i = 0; i <= pool; i++) {
		if (i < s->npools)
			pool_move(&s->pools[i], &pools[i]);
		else
			pool_init(&pools[i]);
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

/* --- the states of a destination --- */

static void
unready(struct schedule *s, struct destination *d)
{
	pool_del_turn(pool_get(s, d->pool), d);
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
	word_drop(s->words, &d->reply);
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

/* Nothing waits and nothing is in flight. */
static void
settle_idle(struct schedule *s, struct destination *d, uint64_t now_ms)
{
	uint64_t keep_ms;

	unready(s, d);
	if (d->asleep && d->idle)
		return;
	keep_ms = destination_keep_ms(d, now_ms);
	if (keep_ms == 0) {
		destination_free(s, d);
		return;
	}
	d->idle = true;
	sleep_until(s, d, now_ms + keep_ms);
}

bool
schedule_is_held(const struct schedule *s, const struct destination *d)
{
	return s->held || d->held;
}

/* Nobody goes: asleep until its line is looked at. */
static void
settle_held(struct schedule *s, struct destination *d, uint64_t now_ms)
{
	uint64_t ms =
	    s->backoff_max_ms < HELD_LOOK_MS ? s->backoff_max_ms : HELD_LOOK_MS;

	if (!d->asleep || d->wake_ms > now_ms + ms)
		sleep_until(s, d, now_ms + ms);
}

/* Puts d where it belongs after anything about it changed; may free it. */
static void
settle(struct schedule *s, struct destination *d, uint64_t now_ms)
{
	if (d->nwaiting == 0 && d->nflight == 0) {
		settle_idle(s, d, now_ms);
		return;
	}
	if (d->idle) {
		d->idle = false;
		wake(s, d);
	}
	if (d->nwaiting == 0 || d->nflight >= d->window) {
		unready(s, d);
		return;
	}
	if (schedule_is_held(s, d)) {
		settle_held(s, d, now_ms);
		return;
	}
	if (destination_may_go_ms(d) > now_ms) {
		sleep_until(s, d, destination_may_go_ms(d));
		return;
	}
	wake(s, d);
	pool_add_turn(pool_get(s, d->pool), d);
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

static void
key_of(const struct route *to, struct destination *key)
{
	key->pool = to->pool;
	key->action = to->action;
	key->hops = to->hops;
	key->numbers_hash = to->numbers_hash;
	key->held = to->held;
}

static struct destination *
destination_get(struct schedule *s, const struct route *to)
{
	struct destination *d, key;

	key_of(to, &key);
	d = RB_FIND(destination_tree, &s->destinations, &key);
	if (d != NULL)
		return d;
	pools_grow(s, to->pool);
	d = destination_new(to);
	d->action = word_ref(to->action);
	RB_INSERT(destination_tree, &s->destinations, d);
	return d;
}

void
schedule_set_reply(struct schedule *s, struct destination *d, struct str reply)
{
	struct word *was = d->reply;

	d->reply = word_get(s->words, reply);
	word_drop(s->words, &was);
}

const struct destination *
schedule_after(struct schedule *s, const struct route *behind)
{
	struct destination *d, key;

	key_of(behind, &key);
	d = RB_NFIND(destination_tree, &s->destinations, &key);
	if (d != NULL && cmp_key(d, &key) == 0)
		d = RB_NEXT(destination_tree, &s->destinations, d);
	return d;
}

/* r now waits in d's line, whose list the caller put it in. */
static void
line_add(struct schedule *s, struct destination *d, struct rcpt *r)
{
	r->place = PLACE_WAITING;
	r->in.destination = d;
	d->nwaiting++;
	if (d->failures > 0)
		s->nput_off++;
}

static void
line_del(struct schedule *s, struct destination *d, struct rcpt *r)
{
	assert(r->place == PLACE_WAITING && r->in.destination == d);
	if (d->hurried == r)
		d->hurried = NULL;
	if (d->swept == r)
		d->swept = TAILQ_NEXT(r, link);
	TAILQ_REMOVE(&d->waiting, r, link);
	r->place = PLACE_NONE;
	r->in.destination = NULL;
	d->nwaiting--;
	if (d->failures > 0)
		s->nput_off--;
}

void
schedule_add(
    struct schedule *s, struct rcpt *r, const struct route *to, uint64_t now_ms)
{
	struct destination *d = destination_get(s, to);

	assert(r->place == PLACE_NONE);
	TAILQ_INSERT_TAIL(&d->waiting, r, link);
	line_add(s, d, r);
	if (d->nwaiting == 1)
		settle(s, d, now_ms);
}

void
schedule_add_first(
    struct schedule *s, struct rcpt *r, const struct route *to, uint64_t now_ms)
{
	struct destination *d = destination_get(s, to);

	assert(r->place == PLACE_NONE);
	TAILQ_INSERT_HEAD(&d->waiting, r, link);
	line_add(s, d, r);
	if (d->nwaiting == 1)
		settle(s, d, now_ms);
}

/* An empty one is seen to when it wakes. */
static void
look_soon(struct schedule *s, struct destination *d)
{
	if (d->nwaiting == 0 && d->nflight == 0 && !d->asleep)
		sleep_until(s, d, 0);
}

void
schedule_del(struct schedule *s, struct rcpt *r)
{
	struct destination *d = r->in.destination;

	line_del(s, d, r);
	look_soon(s, d);
}

static void
take_from(struct schedule *s, struct destination *d, schedule_meant_fn *meant,
    void *ctx, struct rcpt_list *out)
{
	struct rcpt *r, *next;

	TAILQ_FOREACH_SAFE(r, &d->waiting, link, next) {
		if (meant != NULL && !meant(ctx, r))
			continue;
		line_del(s, d, r);
		TAILQ_INSERT_TAIL(out, r, link);
	}
	look_soon(s, d);
}

void
schedule_take(struct schedule *s, schedule_meant_fn *meant, void *ctx,
    struct rcpt_list *out)
{
	struct destination *d;

	RB_FOREACH(d, destination_tree, &s->destinations)
		take_from(s, d, meant, ctx, out);
}

void
schedule_take_all(struct schedule *s, struct rcpt_list *out)
{
	schedule_take(s, NULL, NULL, out);
}

void
schedule_hurry(struct schedule *s, struct rcpt *r, uint64_t now_ms)
{
	struct destination *d = r->in.destination;

	assert(r->place == PLACE_WAITING);
	if (d->failures > 0 && d->hurried != r) {
		TAILQ_REMOVE(&d->waiting, r, link);
		if (d->hurried == NULL)
			TAILQ_INSERT_HEAD(&d->waiting, r, link);
		else
			TAILQ_INSERT_AFTER(&d->waiting, d->hurried, r, link);
		d->hurried = r;
	}
	d->not_before_ms = 0;
	if (d->asleep)
		settle(s, d, now_ms);
}

/* --- turns --- */

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
		if (n > 0 && (rcpt_entry(r) != e || n >= d->recipients))
			break;
		line_del(s, d, r);
		/* The message may end with one that is not admitted. */
		if (!s->ops->admit(s->ctx, d, r))
			continue;
		e = rcpt_entry(r);
		TAILQ_INSERT_TAIL(out, r, link);
		n++;
	}
	return n;
}

/* Out of the line, and back to where it was unless it is dealt with. */
static void
look_at(struct schedule *s, struct destination *d, struct rcpt *r)
{
	bool hurried = d->hurried == r;

	d->swept = r;
	line_del(s, d, r);
	if (!s->ops->admit(s->ctx, d, r))
		return;
	if (d->swept != NULL)
		TAILQ_INSERT_BEFORE(d->swept, r, link);
	else
		TAILQ_INSERT_TAIL(&d->waiting, r, link);
	line_add(s, d, r);
	if (hurried)
		d->hurried = r;
}

/* Only one in a while leaves the line of a destination that cannot be
 * reached, none that of one that is held: who grows too old there is found
 * here, a share at a time. */
static void
sweep(struct schedule *s, struct destination *d)
{
	uint32_t n = d->nwaiting / SWEEP_SHARE + PICK_LOOKS;

	if (d->swept == NULL)
		d->swept = TAILQ_FIRST(&d->waiting);
	for (; n > 0 && d->swept != NULL; n--)
		look_at(s, d, d->swept);
}

/* One work for one destination: false when no agent can take it. */
static bool
one_turn(
    struct schedule *s, struct pool *p, struct destination *d, uint64_t now_ms)
{
	struct agent *a = pool_choose_agent(p, d);
	struct rcpt_list rcpts;
	uint32_t n;

	if (a == NULL)
		return false;
	/* To the end of the ring. */
	pool_del_turn(p, d);
	n = pick(s, d, &rcpts);
	if (n > 0)
		s->ops->start(s->ctx, d, a, &rcpts, n); /* d may be gone */
	else if (d->nwaiting > 0)
		sleep_until(s, d, now_ms); /* goes on in the next round */
	else
		settle(s, d, now_ms);
	return true;
}

static void
run_pool(struct schedule *s, struct pool *p, uint64_t now_ms)
{
	struct destination *d;

	pool_look(p, now_ms);
	while ((d = pool_next_turn(p)) != NULL)
		if (!one_turn(s, p, d, now_ms))
			break;
}

static void
wake_sleepers(struct schedule *s, uint64_t now_ms)
{
	struct destination *d;

	while ((d = RB_MIN(wake_tree, &s->sleepers)) != NULL &&
	       d->wake_ms <= now_ms) {
		wake(s, d);
		if (d->idle) {
			destination_free(s, d);
			continue;
		}
		if (d->failures > 0 || schedule_is_held(s, d))
			sweep(s, d);
		settle(s, d, now_ms);
	}
}

void
schedule_hold(struct schedule *s, bool held, uint64_t now_ms)
{
	struct destination *d, *next;

	if (s->held == held)
		return;
	s->held = held;
	RB_FOREACH_SAFE(d, destination_tree, &s->destinations, next)
		if (d->nwaiting > 0)
			settle(s, d, now_ms);
}

uint64_t
schedule_run(struct schedule *s, uint64_t now_ms)
{
	struct destination *d;

	wake_sleepers(s, now_ms);
	for (uint32_t i = 0; i < s->npools && !s->stopped; i++)
		run_pool(s, &s->pools[i], now_ms);
	d = RB_MIN(wake_tree, &s->sleepers);
	return d != NULL ? d->wake_ms + (d->wake_ms == 0) : 0;
}

/* --- works --- */

void
schedule_begin(struct schedule *s, struct flight *f, struct destination *d,
    struct agent *a, uint64_t now_ms)
{
	*f = (struct flight){
		.destination = d,
		.agent = a,
		.begun_ms = now_ms,
	};
	pool_begin(pool_get(s, d->pool), f);
	destination_begun(d, now_ms);
	settle(s, d, now_ms);
}

void
schedule_done(
    struct schedule *s, struct flight *f, enum work_end end, uint64_t now_ms)
{
	struct destination *d = f->destination;
	struct pool *p = pool_get(s, d->pool);
	bool put_off = d->failures > 0;

	pool_end(p, f);
	switch (end) {
	case WORK_DONE:
		destination_did_well(d, now_ms - f->begun_ms);
		break;
	case WORK_UNREACHABLE:
		destination_failed(d, now_ms, s->backoff_max_ms);
		break;
	case WORK_LOST:
		break;
	}
	if (put_off && d->failures == 0)
		s->nput_off -= d->nwaiting;
	else if (!put_off && d->failures > 0)
		s->nput_off += d->nwaiting;
	pool_classify(p, d);
	settle(s, d, now_ms);
}

bool
schedule_is_put_off(const struct rcpt *r)
{
	return r->place == PLACE_WAITING && r->in.destination->failures > 0;
}

uint64_t
schedule_count_put_off(const struct schedule *s)
{
	return s->nput_off;
}
