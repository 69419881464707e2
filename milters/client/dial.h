/* Connections to filters, by way of the dialer. */
#ifndef POSTERN_MILTERS_CLIENT_DIAL_H
#define POSTERN_MILTERS_CLIENT_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/rules/milter_conf.h"

struct dial; /* one question to the dialer */

struct dialed {
	int fd;          /* connecting or connected, the callee's; -1: why */
	const char *why; /* lives during the call */
	bool ours;       /* the dialer is not there, or has not what it takes:
			  * nothing is known of the filter */
};

/* Exactly once, never before dial_begin returned. While there is no dialer
 * (yet, or it is being started anew) the question waits for the next, for as
 * long as the asker does; if that one dies, too, it is answered. */
typedef void dialed_fn(void *ctx, const struct dialed *d);

/* m outlives the question. */
struct dial *dial_begin(struct loop *l, const struct milter *m, uint32_t socket,
    dialed_fn *fn, void *ctx);
/* fn will not be called any more. Clears the pointer; NULL is allowed. */
void dial_cancel(struct dial **p);
/* The same, when it took too long. True: it is the dialer that answers
 * nobody, or is not there; the filter is not to blame. */
bool dial_give_up(struct dial **p);
/* There is a dialer now: those that waited ask it. */
void dial_resume(void);

#endif
