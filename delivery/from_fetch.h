/* What the fetcher says to us, and what we ask it. */
#ifndef POSTERN_DELIVERY_FROM_FETCH_H
#define POSTERN_DELIVERY_FROM_FETCH_H

#include <stdint.h>

#include "edges/delivery_fetch.h"
#include "lib/base/loop.h"
#include "lib/ipc/patient.h"

/* A fetcher that dies over one question this often is not asked it again. */
enum { STS_TRIES_MAX = 3 };

/* A question, embedded in its owner. */
struct sts_question {
	struct patient_question asking;
	struct ask_sts ask; /* its views live as long as the question */
	/* Once, never before from_fetch_ask returned; NULL: there is no answer.
	 * Its views live until the function returns. */
	void (*on_answer)(struct sts_question *q, const struct answer_sts *m);
};

/* patience_ms: how long an answer may take. */
void from_fetch_init(struct loop *l, uint64_t patience_ms);
void from_fetch_ask(struct sts_question *q);
/* It is not answered. */
void from_fetch_cancel(struct sts_question *q);

/* A socket to the fetcher; what the one before did not answer is asked
 * again. */
struct channel *from_fetch_open(struct loop *l, int socket);
void from_fetch_close(void);

#endif
