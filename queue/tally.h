/*
 * How TLS went with domains that want to know, by day: what agents told, until
 * a report is made of it (RFC 8460). A text of lines on disk, bounded in all
 * it holds.
 */
#ifndef POSTERN_QUEUE_TALLY_H
#define POSTERN_QUEUE_TALLY_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/queue_delivery.h"
#include "lib/base/buf.h"
#include "lib/base/tree.h"

enum {
	TALLY_ENTRIES_MAX = 50000,    /* days of domains, policies, failures */
	TALLY_BYTES_MAX = 4 << 20,    /* of all their texts */
	TALLY_POLICIES_MAX = 8,       /* of a domain's day */
	TALLY_FAILURES_MAX = 200,     /* kinds of them, of a policy */
	TALLY_DETAILS_MAX = 64 << 10, /* bytes of the texts of all those of a
				       * domain's day */
	/* More than tallies_format ever writes. */
	TALLY_TEXT_MAX = 32 << 20
};

/* Sessions that failed in the same way. */
struct tally_failure {
	STAILQ_ENTRY(tally_failure) next;
	enum tls_result result;
	uint64_t count;
	char *mx, *mx_address, *our_address, *reason; /* owned; or "" */
};

struct tally_policy {
	STAILQ_ENTRY(tally_policy) next;
	enum tls_policy kind;
	char *text;        /* its lines, LF between; or "" */
	char *mx_patterns; /* a blank between; or "" */
	uint64_t successes, failures;
	size_t nkinds; /* of failures, in the list; what is above the bounds
			* is only counted */
	STAILQ_HEAD(, tally_failure) kinds;
};

/* A domain's day. */
struct tally {
	RB_ENTRY(tally) node;
	uint32_t day; /* UTC, since 1970 */
	char *domain; /* lower case */
	char *rua;    /* the TLSRPT record, as it was told last */
	/* To which of its addresses a report has gone; a bit each. */
	uint32_t told;
	bool over;       /* nothing is left to be told */
	size_t nsending; /* reports on their way to the disk */
	size_t npolicies;
	size_t details; /* bytes of the texts of all their kinds of failures */
	STAILQ_HEAD(, tally_policy) policies;
};

RB_HEAD(tally_tree, tally);

struct tallies {
	struct tally_tree tree; /* by day and domain */
	size_t nentries, bytes;
};

void tallies_init(struct tallies *t);
void tallies_clear(struct tallies *t);
/* -1: there is no room for it, or it was told already. */
int tallies_add(struct tallies *t, const struct tell_tls_tally *m);
struct tally *tallies_find(struct tallies *t, uint32_t day, struct str domain);
/* In the order of days; the first with NULL. */
struct tally *tallies_next(struct tallies *t, struct tally *after);
void tallies_del(struct tallies *t, struct tally **tally);

void tallies_format(const struct tallies *t, struct buf *out);
/* Into an empty t. -1: it is none; t may hold a part then. */
int tallies_parse(struct tallies *t, struct str text);

#endif
