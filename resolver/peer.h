/*
 * The processes that ask us: a channel to each, and its questions under way,
 * which end with it.
 */
#ifndef POSTERN_RESOLVER_PEER_H
#define POSTERN_RESOLVER_PEER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "edges/edges.h"
#include "lib/base/counter.h"
#include "lib/base/loop.h"
#include "lib/ipc/channel.h"

/* Questions of one peer under way; what comes on top is answered with a fault
 * at once. */
enum { PEER_QUESTIONS_MAX = 10000 };

struct peer {
	LIST_ENTRY(peer) next;
	enum role role;
	uint16_t instance;
	struct channel *channel;
	LIST_HEAD(, question) questions;
	size_t nquestions;
};

/* The first member of what answers it. */
struct question {
	LIST_ENTRY(question) next;
	struct peer *peer;
	uint64_t id;
	/* The peer is gone: stop, and free it. */
	void (*cancel)(struct question *q);
};

/* Before all else. */
void peer_init(struct loop *l);
/* A channel over socket (taken) to a role that asks; the handlers' context is
 * the struct peer. One there was to the same process is dead. */
struct channel *peer_add(enum role role, uint16_t instance, int socket,
    const struct handler *handlers);
/* Forgets all of them. */
void peer_clear(void);
/* May it not ask more for now? Counted when it may not. */
bool peer_has_too_many(const struct peer *p);
/* Among the peer's questions, until question_end; the caller filled in
 * cancel, and frees it behind question_end. */
void question_start(struct question *q, struct peer *p, uint64_t id);
void question_end(struct question *q);
/* What this counts, ended by a NULL name. */
const struct counter *peer_counters(void);

#endif
