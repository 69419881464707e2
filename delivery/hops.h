/* Next hops: their URLs, what we know of each, and which are ourselves. */
#ifndef POSTERN_DELIVERY_HOPS_H
#define POSTERN_DELIVERY_HOPS_H

#include "lib/base/tree.h"
#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/str.h"
#include "lib/net/addr.h"
#include "lib/rules/config.h"

enum {
	HOPS_MAX = 32,       /* next hops of one work; the rest is ignored */
	HOP_DEAD_MS = 30000, /* how long a failed one comes last */
	HOP_TEXT_MAX = ADDR_TEXT_MAX + 10
};

struct conn;
TAILQ_HEAD(conn_list, conn);

/* Where a next hop is. */
struct hop_addr {
	struct addr addr;
	uint16_t port;
};

/* What we remember of one while there is something to remember. */
struct hop {
	RB_ENTRY(hop) entry;
	struct hop_addr at;
	uint64_t dead_until_ms; /* loop time; past: alive */
	unsigned int nconns;    /* connections that point here */
	struct conn_list idle;  /* the last used first; see idle.h */
};

/* "smtp://ADDR:PORT" with a literal address, IPv6 in brackets; without a
 * port 25. Returns 0, or -1 when it is not that. */
int hop_parse(struct str url, struct hop_addr *out);
/* All URLs of a blank-separated list, HOPS_MAX at most, into out; *nbad
 * counts the ones that are none. Returns how many. */
size_t hops_parse(struct str text, struct hop_addr *out, size_t *nbad);
/* ADDR:PORT, IPv6 in brackets. Returns out. */
const char *hop_format(
    const struct hop_addr *at, char out[static HOP_TEXT_MAX]);
/* Is it a listener of this very gateway? A wildcard listener is every
 * loopback address of its family. */
bool hop_is_ours(const struct hop_addr *at, const struct config *c);
/* Does a wildcard listener of ours have that port? Then it is us if the
 * address is one of this machine's, which hop_is_here tells. */
bool hop_may_be_ours(const struct hop_addr *at, const struct config *c);
/* fd is connected to at: is that an address of this machine? (The kernel
 * then gives our end the same one. Not so for all of the loopback's, but
 * those hop_is_ours knows.) */
bool hop_is_here(const struct hop_addr *at, int fd);

/* The remembered one, made if need be; each conn holds one until
 * hop_release. */
struct hop *hop_take(const struct hop_addr *at, uint64_t now_ms);
void hop_release(struct hop *h, uint64_t now_ms);
/* It could not be talked to: others come first for a while. */
void hop_set_dead(struct hop *h, uint64_t now_ms);
void hop_set_alive(struct hop *h);
/* NULL: nothing is remembered. */
struct hop *hop_find(const struct hop_addr *at);
bool hop_is_dead(const struct hop_addr *at, uint64_t now_ms);

#endif
