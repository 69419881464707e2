/* One work of the queue: each recipient's Maildir, one after the other. */
#ifndef POSTERN_MAILDIR_DELIVER_H
#define POSTERN_MAILDIR_DELIVER_H

#include "edges/queue_delivery.h"
#include "lib/base/counter.h"

/* A recipient, as the queue named it. */
struct deliver_rcpt {
	uint32_t index;
	char *to;
};

/* What came from the queue so far. */
struct delivery {
	uint64_t id;
	uint64_t begun_ms;
	char *from, *action;
	char *content;
	size_t inline_size, ncontent;
	uint64_t body_size;
	int file; /* -1: none, or not yet */
	bool in_file;
	struct deliver_rcpt *rcpts;
	uint32_t nrcpts, nexpected;
};

/* From the queue's words; NULL when they make no sense. */
struct delivery *delivery_new(const struct tell_work *m, uint64_t id);
void delivery_free(struct delivery **d);
int delivery_add_rcpt(struct delivery *d, const struct tell_work_rcpt *m);
/* The file is the delivery's when this returned 0. */
int delivery_add_file(struct delivery *d, int file);
int delivery_add_content(struct delivery *d, struct str bytes);
bool delivery_is_complete(const struct delivery *d);

/* Does it, which may block, and tells the queue each result and the end. */
void delivery_run(struct delivery *d, struct channel *queue);

/* Ended by a NULL name. */
const struct counter *deliver_counters(void);

#endif
