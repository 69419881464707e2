/*
 * Recovery: reads the whole log once, decides what was durable, cuts the
 * torn tail, sets damage aside, fills the journal's books and tells the queue
 * which messages there are.
 */
#ifndef POSTERN_QUEUE_RECOVER_H
#define POSTERN_QUEUE_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/fault.h"
#include "queue/journal.h"
#include "queue/store.h"

struct recover_ask {
	int corrupt; /* corrupt/ */
	const struct store_ops *ops;
	void *ctx; /* of ops */
	/* NULL when the body file is there and whole, or cannot be looked at
	 * now; else what is wrong. It is wanted from now on. */
	const char *(*claim_body)(void *ctx, const struct mail_record *m);
	void *body_ctx;
	struct fault *why;
};

struct recover_result {
	uint64_t messages;  /* that survived */
	uint64_t damaged;   /* pieces set aside */
	bool unreadable;    /* the disk did not give everything */
	uint64_t torn;      /* segments with a tail that was cut */
	uint64_t latest_ms; /* the latest wall time any record tells of */
};

/* j: initialised, log/ in j->dir. -1 with a->why when the log cannot be used.
 */
int recover_log(struct journal *j, const struct recover_ask *a,
    struct recover_result *result);

#endif
