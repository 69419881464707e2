/* Works: one message, those of its recipients that share a destination, and
 * the agent that has them. */
#ifndef POSTERN_QUEUE_WORK_H
#define POSTERN_QUEUE_WORK_H

#include "lib/base/tree.h"
#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "edges/edges.h"
#include "edges/queue_delivery.h"
#include "queue/queue.h"

struct work {
	RB_ENTRY(work) by_id;
	uint64_t id; /* the request id on the agent's channel */
	struct queue *q;
	struct entry *entry; /* kept busy */
	struct flight flight;
	struct agent_peer *peer; /* NULL: it died while we read */
	struct rcpt_list rcpts;  /* without a result yet */
	uint32_t nrcpt;
	bool reading; /* the store reads the content for us */
};

RB_HEAD(work_tree, work);

/* An agent as the queue sees it. */
struct agent_peer {
	LIST_ENTRY(agent_peer) next;
	struct queue *q;
	struct channel *channel;
	struct agent agent;
	enum role role;
	uint16_t instance;
	struct work_tree works;
	uint64_t next_id;
	bool left; /* by its own word: what it still has was not begun */
};

/* schedule_ops.start: ctx is the queue. */
void work_start(void *ctx, struct destination *d, struct agent *a,
    struct rcpt_list *rcpts, uint32_t nrcpt);
/* NULL when the agent has no such work. */
struct work *work_find(struct agent_peer *p, uint64_t id);
/* One recipient's result; what names none of the work's is ignored. */
void work_result(struct work *w, const struct tell_result *m);
/* All was told: records, frees. */
void work_done(struct work *w, const struct tell_done *m);
/* The agent is gone: its works' recipients have their turn again, or wait. */
void work_lose_all(struct agent_peer *p);

#endif
