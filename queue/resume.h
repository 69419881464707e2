/* Recovery: from the store's records to the index. */
#ifndef POSTERN_QUEUE_RESUME_H
#define POSTERN_QUEUE_RESUME_H

#include <stdint.h>

#include "queue/store.h"

struct queue;

/* store_ops; ctx is the queue. */
void resume_mail(void *ctx, const struct mail_record *m, struct store_ref ref);
void resume_state(void *ctx, const struct state_record *s);
void resume_finished(void *ctx, uint64_t seq);
void resume_restate(void *ctx, uint64_t seq);

/* The store is open: every message waits for what it waited for. */
void resume_all(struct queue *q);

#endif
