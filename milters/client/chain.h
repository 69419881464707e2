/* The filters of one session together; private to this folder. */
#ifndef POSTERN_MILTERS_CLIENT_CHAIN_H
#define POSTERN_MILTERS_CLIENT_CHAIN_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/loop.h"
#include "milters/client/edits.h"
#include "milters/client/headers.h"
#include "milters/client/member.h"
#include "milters/client/milter.h"

/* A mail while filters look at it, and what they made of it. */
struct message {
	struct milter_mail mail; /* its body: of the last that changed it */
	struct headers headers;
	struct edits_sum sum;
	bool body_failed;  /* could not be stored, rather than: had no room */
	struct buf header; /* the block in the end */
	struct milter_result result;
};

struct milters {
	struct loop *loop;
	struct config *config; /* a reference: members view it */
	const struct milter_facts *facts;
	const struct milter_ops *ops;
	void *ctx;
	TAILQ_HEAD(, member) members; /* all that were ever asked */
	/* the chosen ones in order, those of a step side by side */
	struct member **order; /* owned array of some of members */
	size_t n;
	const struct milter_set *set; /* not owned; NULL: none */
	bool phase_queue;
	/* the present question */
	bool asking;
	enum milter_stage stage;
	size_t first, last; /* the present step in order: first … last - 1 */
	size_t waiting;     /* members that have not answered */
	struct milter_answer answer;
	char *reply;                    /* owned, of answer */
	struct deferred deliver;        /* of answer */
	const struct member *discarder; /* who had the message dropped */
	struct message *message;        /* owned; NULL: no content yet */
	unsigned int busy;              /* calls and callbacks on the stack */
	bool freed;                     /* goes when the last of them returns */
};

/* Asks the chosen from the first on. True: m->answer is there. */
bool round_run(struct milters *m);
/* A member that had to be waited for has answered. True: m->answer is
 * there. */
bool round_take(struct milters *m);
/* Forgets content and edits. */
void round_free_message(struct milters *m);
/* Forgets content, edits and what was said of the message; ABORT to those
 * that wait for more of it. */
void round_end_message(struct milters *m);

#endif
