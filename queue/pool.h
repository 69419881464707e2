/*
 * A pool: the agents of one kind, and the destinations that wait for a turn
 * with them.
 *
 * Nobody may fill it with works that do not end. A destination is good when
 * its last work ended within SLOW_MS and none of those in flight is older
 * than that; bad when the last was slow or could not reach it, or one in
 * flight is slow; new otherwise. New and bad ones together have at most three
 * quarters of the places, bad ones at most half: a place that a good one
 * holds is soon free again, and there always is one. Each class has a ring
 * of its own, and the rings take turns, so that the good ones do not starve
 * the others either.
 */
#ifndef POSTERN_QUEUE_POOL_H
#define POSTERN_QUEUE_POOL_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "queue/destination.h"

/* A process that delivers. */
struct agent {
	TAILQ_ENTRY(agent) next;
	uint32_t pool;
	uint32_t capacity; /* mails it can hold */
	uint32_t nflight;  /* and holds */
	bool blocked;      /* its channel is full */
	void *owner;
};

/* A work with an agent; part of its owner's struct. */
struct flight {
	TAILQ_ENTRY(flight) next; /* in its pool's list, until it is slow */
	struct destination *destination;
	struct agent *agent;
	uint64_t begun_ms;
	bool slow;
};

struct pool {
	TAILQ_HEAD(agent_list, agent) agents;
	struct turn_list turns[CLASSES];
	TAILQ_HEAD(flight_list, flight) flights; /* not slow ones, by age */
	uint64_t nflight[CLASSES]; /* works by their destination's class */
	uint64_t capacity;         /* of all agents: pool_look */
	unsigned int next;         /* the class whose turn it is */
};

void pool_init(struct pool *p);
/* Lists' heads point into themselves: a pool cannot be copied. */
void pool_move(struct pool *from, struct pool *to);

/* At the end of its ring, when it is in none; out of it. */
void pool_add_turn(struct pool *p, struct destination *d);
void pool_del_turn(struct pool *p, struct destination *d);
/* After anything that makes d's class. */
void pool_classify(struct pool *p, struct destination *d);

/* Before turns are taken: counts places, finds works that became slow. */
void pool_look(struct pool *p, uint64_t now_ms);
/* Whose turn it is; NULL when nobody may go. */
struct destination *pool_next_turn(struct pool *p);
/* Who is to have d's next work; NULL when no agent has a place. */
struct agent *pool_choose_agent(struct pool *p, const struct destination *d);

/* f, which is filled, is in flight from now on; and is not any more. */
void pool_begin(struct pool *p, struct flight *f);
void pool_end(struct pool *p, struct flight *f);

#endif
