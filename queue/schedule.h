/*
 * The scheduler: recipients wait in a line per destination, destinations take
 * fair turns, agents take what they can hold.
 *
 * It knows no channels and no store: schedule_ops says what to do with what
 * it picks. Agents of one kind form a pool (all delivery processes; each
 * maildir and mda process is one of its own), every destination belongs to one
 * pool.
 */
#ifndef POSTERN_QUEUE_SCHEDULE_H
#define POSTERN_QUEUE_SCHEDULE_H

#include "lib/base/tree.h"
#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/rules/config.h"
#include "queue/index.h"
#include "queue/pool.h"

enum {
	POOL_DELIVERY,
	POOL_MAILDIR,
	POOL_MDA,                            /* of instance 0, as before it */
	POOL_STEP = POOL_MDA - POOL_DELIVERY /* from there to the next one's */
};

/* How a work ended, for its destination. */
enum work_end {
	WORK_DONE,
	WORK_UNREACHABLE, /* the destination backs off */
	WORK_LOST         /* the agent died: says nothing */
};

struct schedule_ops {
	/* Asked before r, the next of d's line, is given away (and now and
	 * then of those that wait for a destination that cannot be reached, or
	 * is held); false: it was dealt with otherwise (it expired) and is
	 * nowhere any more. */
	bool (*admit)(void *ctx, const struct destination *d, struct rcpt *r);
	/* These recipients of one message are d's next work for agent a. Calls
	 * schedule_begin first. The list is the callee's. */
	void (*start)(void *ctx, struct destination *d, struct agent *a,
	    struct rcpt_list *rcpts, uint32_t nrcpt);
};

struct schedule {
	const struct schedule_ops *ops;
	void *ctx;
	struct words *words;
	RB_HEAD(destination_tree, destination) destinations;
	RB_HEAD(wake_tree, destination) sleepers;
	struct pool *pools; /* owned */
	uint32_t npools;
	uint64_t nput_off; /* recipients, see schedule_count_put_off */
	uint64_t backoff_max_ms;
	bool stopped; /* starts nothing more */
	bool held;    /* likewise, until it is let go: schedule_hold */
};

void schedule_init(struct schedule *s, const struct schedule_ops *ops,
    void *ctx, struct words *words);
/* Frees the destinations; nothing waits and nothing is in flight. */
void schedule_clear(struct schedule *s);

/* --- agents, which stay the caller's --- */
void schedule_add_agent(struct schedule *s, struct agent *a, uint32_t pool);
/* Its works were given back before. */
void schedule_del_agent(struct schedule *s, struct agent *a);

/* --- recipients --- */
uint64_t schedule_hash(const struct deliver_numbers *n);
/* At the end of the line for this route, or at its front; the recipient is
 * nowhere else. */
void schedule_add(struct schedule *s, struct rcpt *r, const struct route *to,
    uint64_t now_ms);
void schedule_add_first(struct schedule *s, struct rcpt *r,
    const struct route *to, uint64_t now_ms);
/* Out of its line. */
void schedule_del(struct schedule *s, struct rcpt *r);
/* Every waiting recipient out of its line, into the list `out` (place
 * PLACE_NONE): they are to be routed again. */
void schedule_take_all(struct schedule *s, struct rcpt_list *out);
/* The same of those only that are meant (NULL: all). */
typedef bool schedule_meant_fn(void *ctx, const struct rcpt *r);
void schedule_take(struct schedule *s, schedule_meant_fn *meant, void *ctx,
    struct rcpt_list *out);
/* Next try of r's destination: now, whatever its back-off; if there is one r
 * comes first, behind those that were hurried before. */
void schedule_hurry(struct schedule *s, struct rcpt *r, uint64_t now_ms);

/* What a work for d brought instead of success: kept to be shown. */
void schedule_set_reply(
    struct schedule *s, struct destination *d, struct str reply);
/* All destinations, one after the other: the one behind this key; NULL at
 * the end. It survives all changes in between, as long as the key's action
 * is counted. An empty key is before all. */
const struct destination *schedule_after(
    struct schedule *s, const struct route *behind);

/* Waits for a destination that could not be reached the last time. */
bool schedule_is_put_off(const struct rcpt *r);
/* How many of those there are. */
uint64_t schedule_count_put_off(const struct schedule *s);

/* --- turns --- */
/* Nobody goes any more (works in flight go on), or all do again. Lines grow
 * meanwhile, in their order; who grows too old in them is found. */
void schedule_hold(struct schedule *s, bool held, uint64_t now_ms);
/* Does nobody go to d: because of that, or of its route? */
bool schedule_is_held(const struct schedule *s, const struct destination *d);
/* Starts all that can be started. Returns when to come again (monotonic), 0
 * when no time but only an event can change anything. */
uint64_t schedule_run(struct schedule *s, uint64_t now_ms);
/* A work begins: counted in flight until schedule_done. */
void schedule_begin(struct schedule *s, struct flight *f, struct destination *d,
    struct agent *a, uint64_t now_ms);
/* A work is over. May free its destination. */
void schedule_done(
    struct schedule *s, struct flight *f, enum work_end end, uint64_t now_ms);

#endif
