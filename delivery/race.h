/*
 * Connecting to next hops: a place that takes long to answer gets another one
 * of its kind beside it, and who answers first wins (RFC 8305). By TCP, from
 * the place's source; to a Unix socket by the dialer.
 */
#ifndef POSTERN_DELIVERY_RACE_H
#define POSTERN_DELIVERY_RACE_H

#include <stdbool.h>
#include <stdint.h>

#include "delivery/agent_work.h"
#include "delivery/hops.h"
#include "delivery/result.h"

enum { RACE_DELAY_MS = 250 }; /* "Connection Attempt Delay" */

/* What the owner hears, from the loop only. The place is good until it
 * returns; each may end the work. */
struct race_ops {
	/* Another one is taken: it is closed. Before on_won, for each. slow: it
	 * had its time to answer. */
	void (*on_left)(struct work *w, const struct place *p, bool slow);
	/* The race is over: fd is connected, and the callee's. */
	void (*on_won)(struct work *w, const struct place *p, int fd);
	/* It cannot be reached; others may be under way still. */
	void (*on_failed)(
	    struct work *w, const struct place *p, const struct verdict *why);
	/* Nobody has answered for a while: another one may be added. */
	void (*on_slow)(struct work *w);
};

void race_init(struct loop *l, const struct race_ops *ops);
/* Begins to connect, beside what is under way for w. 0, or -1 with why when
 * the system does not let us even try. */
int race_add(struct work *w, const struct place *p, uint64_t timeout_ms,
    struct verdict *why);
/* Is any place on its way? */
bool race_is_on(const struct work *w);
/* All are left, with on_left for each; or just closed. */
void race_leave(struct work *w);
void race_stop(struct work *w);
/* Places that were tried since the start. */
uint64_t race_total(void);

#endif
