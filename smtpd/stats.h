/* What smtpd counts for `show stats`. */
#ifndef POSTERN_SMTPD_STATS_H
#define POSTERN_SMTPD_STATS_H

#include <stdint.h>

#include "lib/base/counter.h"

enum statistic {
	STAT_SESSIONS,    /* open now */
	STAT_CONNECTIONS, /* ever */
	STAT_ACCEPTED,    /* mails answered 250 */
	STAT_REJECTED,    /* 5xx answers */
	STAT_TEMPFAILED,  /* 4xx answers */
	STAT_BYTES,       /* content of accepted mails */
	STAT_RDNS_ASKED,  /* questions for a client's name */
	STAT_RDNS_WAITED, /* commands that had to wait for one */
	STAT_DISCARDED,   /* mails answered 250 and dropped, by filters */
	STAT_FILTERING,   /* messages with filters under way now */
	STAT_FILTERING_CAPACITY, /* so many may be */
	STAT_FILTERING_REFUSED,  /* turned away because there were more */
	STAT_COUNT
};

void stats_add(enum statistic which, uint64_t n);
void stats_sub(enum statistic which, uint64_t n);
void stats_set(enum statistic which, uint64_t n);
/* All of them, ended by a NULL name. */
const struct counter *stats_all(void);

#endif
