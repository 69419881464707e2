/* What the queue says to an agent that delivers here. */
#ifndef POSTERN_AGENTS_FROM_QUEUE_H
#define POSTERN_AGENTS_FROM_QUEUE_H

#include <stdint.h>

#include "delivery/agents/local_work.h"
#include "lib/base/loop.h"
#include "lib/ipc/channel.h"

/* What the agent brings. */
struct from_queue_ops {
	uint32_t capacity; /* mails that it takes at a time */
	/* A whole work, the agent's from here on. Results go to queue until
	 * on_lost. */
	void (*on_work)(struct local_work *w, struct channel *queue);
	/* The queue is gone, and nobody to tell results to. NULL: there is
	 * nothing under way between two messages. */
	void (*on_lost)(void);
};

/* Before all else; ops stay the caller's. */
void from_queue_init(const struct from_queue_ops *ops);
/* A socket to the queue; the one before is dead. */
struct channel *from_queue_open(struct loop *l, int socket);
/* Ends the channel, and what came over it. */
void from_queue_close(void);
/* Begin to ask for work. */
void from_queue_go(void);
/* Takes nothing new, and no part of what came only in part. */
void from_queue_stop(void);
/* The last word, before the process ends: what was begun has been told. */
void from_queue_leave(void);

#endif
