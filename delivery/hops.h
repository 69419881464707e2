/* Next hops: what we know of each. */
#ifndef POSTERN_DELIVERY_HOPS_H
#define POSTERN_DELIVERY_HOPS_H

#include "lib/base/tree.h"
#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/rules/hop.h"

enum {
	HOP_DEAD_MS = 30000,    /* how long a failed one comes last */
	HOP_PLAIN_MS = 3600000, /* how long it is said no BDAT */
	PLACE_TEXT_MAX = 321
};

struct policy;

/* A next hop and the name that led there. */
struct place {
	struct hop_addr at;
	const char *host;      /* NULL: none, it was configured as an address */
	struct policy *policy; /* of the walk that gave it; see policy.h */
	struct addr source;    /* our end; ADDR_NONE: as the system has it */
	bool in_clear;         /* TLS has failed there: once more without */
};

/* HOST[ADDR]:PORT, without a name as hop_format. Returns out. */
const char *place_format(
    const struct place *p, char out[static PLACE_TEXT_MAX]);

struct conn;
TAILQ_HEAD(conn_list, conn);

/* What we remember of one while there is something to remember. */
struct hop {
	RB_ENTRY(hop) entry;
	struct hop_addr at;
	uint64_t dead_until_ms;  /* loop time; past: alive */
	uint64_t plain_until_ms; /* until then it gets no BDAT */
	unsigned int nconns;     /* connections that point here */
	struct conn_list idle;   /* the last used first; see idle.h */
};

/* The remembered one, made if need be; each conn holds one until
 * hop_release. */
struct hop *hop_take(const struct hop_addr *at, uint64_t now_ms);
void hop_release(struct hop *h, uint64_t now_ms);
/* It could not be talked to: others come first for a while. */
void hop_set_dead(struct hop *h, uint64_t now_ms);
/* The same of one that nothing need be remembered of. */
void hop_mark_dead(const struct hop_addr *at, uint64_t now_ms);
void hop_set_alive(struct hop *h);
/* It offers CHUNKING and does not have it. */
void hop_set_plain(struct hop *h, uint64_t now_ms);
bool hop_is_plain(const struct hop *h, uint64_t now_ms);
/* NULL: nothing is remembered. */
struct hop *hop_find(const struct hop_addr *at);
bool hop_is_dead(const struct hop_addr *at, uint64_t now_ms);

#endif
