/*
 * When the store commits: new mail at the end of the loop round that brought
 * it (so that one sync serves all that came), results with the next of
 * those, at most 20 ms later.
 */
#ifndef POSTERN_QUEUE_PACE_H
#define POSTERN_QUEUE_PACE_H

#include "lib/base/loop.h"
#include "queue/store.h"

struct pace {
	struct loop *loop;
	struct store *store;
	void (*before)(void *ctx); /* adds what is not in the store yet */
	void *ctx;
	struct deferred now;
	struct timer *later;
};

void pace_init(struct pace *p, struct loop *l, struct store *s,
    void (*before)(void *ctx), void *ctx);
/* At the end of this round. */
void pace_soon(struct pace *p);
/* Within 20 ms. */
void pace_later(struct pace *p);
/* At once; what waited is done by it. */
void pace_now(struct pace *p);

#endif
