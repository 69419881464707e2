/* The processes that know: one channel to each. */
#ifndef POSTERN_CONTROL_ANSWERER_H
#define POSTERN_CONTROL_ANSWERER_H

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "control/router.h"
#include "edges/edges.h"
#include "lib/base/loop.h"
#include "lib/ipc/channel.h"

struct answerer {
	TAILQ_ENTRY(answerer) link;
	enum role role;
	uint16_t instance;
	struct channel *ch;
	struct leg_list legs; /* questions it has not answered yet */
	unsigned int pauses;  /* askers for whose sake it is not read */
	struct loop *loop;
	struct deferred resume; /* reading again hands rows out at once: not
				 * from inside whoever asks for it */
};

/* A channel to this process over fd (taken over); one there was to the same
 * is dead. */
struct channel *answerer_add(
    struct loop *l, enum role role, uint16_t instance, int fd);
/* The one of this role that is there now: of several the first, a retired one
 * last; or NULL. */
struct answerer *answerer_find(enum role role);
/* All that are there: the first with NULL, then the one after. */
struct answerer *answerer_next(struct answerer *before);
/* Counted: it is read again when as many resumes as pauses came. */
void answerer_pause(struct answerer *a);
void answerer_resume(struct answerer *a);
void answerer_clear(void);

#endif
