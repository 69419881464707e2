/*
 * control_all, the queue's end: listings, contents, changes, numbers.
 *
 * A question that takes more than one go is a struct asking: its step runs
 * again and again, as long as the channel takes more, a slice a loop round,
 * until it says that it is through.
 */
#ifndef POSTERN_QUEUE_FROM_CONTROL_H
#define POSTERN_QUEUE_FROM_CONTROL_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "edges/control_all.h"
#include "queue/filter.h"

struct asking;
struct queue;

struct control_peer {
	LIST_ENTRY(control_peer) next;
	struct queue *q;
	struct channel *channel;
	uint16_t instance;
	struct filter filter; /* terms told for the next question */
	LIST_HEAD(, asking) askings;
	struct timer *go_on; /* for those with more to do */
};

struct asking {
	LIST_ENTRY(asking) next;
	struct control_peer *peer; /* NULL: gone, while it waited */
	uint64_t id;
	bool waiting; /* for the store: asking_wake ends it */
	/* One slice; true: all was said, the answer too. */
	bool (*step)(struct asking *a);
	void (*free)(struct asking *a);
};

struct channel *from_control_add(
    struct queue *q, uint16_t instance, int socket);
void from_control_resume(struct queue *q);

/* Among the peer's askings, which are stepped from the next round on. The
 * caller filled step and free. */
void asking_start(struct asking *a, struct control_peer *p, uint64_t id);
/* What it waited for has come (or the peer went: then it is freed). */
void asking_wake(struct asking *a);

/* A question whose answer is rows, one after another: row tells the next one,
 * or returns false when there is none. Allocated, with what row needs to know
 * behind it; freed at its end. */
struct row_listing {
	struct asking asking; /* the first member */
	bool (*row)(struct row_listing *l);
	uint64_t n; /* rows told */
};

void row_listing_start(struct row_listing *l, struct control_peer *p,
    uint64_t id, bool (*row)(struct row_listing *l));

/* The end of question id. */
void answer(struct control_peer *p, uint64_t id, enum answer_code code,
    const char *text);

#endif
