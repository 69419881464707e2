/*
 * What others told us of addresses, kept for a while: found by address and
 * kind, the longest unused goes first when there are too many. One lives as
 * long as it is kept or referred to: by sessions, by the question that is on
 * its way.
 */
#ifndef POSTERN_SMTPD_KNOWN_H
#define POSTERN_SMTPD_KNOWN_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/tree.h"
#include "lib/net/addr.h"

/* The first member of what is known. */
struct known {
	RB_ENTRY(known) node;
	TAILQ_ENTRY(known) entry;
	uint64_t until_ms;
	unsigned int refs;
	uint32_t kind;
	struct addr addr;
	bool kept, pending; /* pending: the answer is not there yet */
};

RB_HEAD(known_tree, known);
TAILQ_HEAD(known_list, known);

struct known_cache {
	struct known_tree tree;
	struct known_list used; /* last first */
	size_t n, max;
	/* Nobody needs it any more. */
	void (*free)(struct known *k);
};

#define KNOWN_CACHE(name, bound, function)                                   \
	{                                                                    \
		.tree = RB_INITIALIZER(&(name).tree),                        \
		.used = TAILQ_HEAD_INITIALIZER((name).used), .max = (bound), \
		.free = (function)                                           \
	}

/* NULL: there is none, or what there was is too old. */
struct known *known_find(
    struct known_cache *c, const struct addr *a, uint32_t kind);
/* A new one is asked for: kept, pending, with one reference, which is the
 * question's. */
void known_start(struct known_cache *c, struct known *k, const struct addr *a,
    uint32_t kind);
/* The answer has come and holds for so long; 0: it is not kept. The question's
 * reference stays to be dropped. */
void known_set(struct known_cache *c, struct known *k, uint32_t ttl_s);
/* One reference less. */
void known_unref(struct known_cache *c, struct known *k);
/* Keeps none of them. */
void known_clear(struct known_cache *c);

#endif
