/* What smtpd counts for `show stats`. */
#ifndef POSTERN_SMTPD_STATS_H
#define POSTERN_SMTPD_STATS_H

#include <stdint.h>

#include "lib/base/counter.h"
#include "lib/base/latency.h"

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
	/* who is kept out, and why */
	STAT_BLOCKED,        /* by `deny from' or the administrator */
	STAT_LISTED,         /* clients that a DNS list has */
	STAT_DNSBL_ASKED,    /* questions about lists */
	STAT_DNSBL_SILENT,   /* lists that did not answer */
	STAT_EARLY_TALKERS,  /* talked before the greeting */
	STAT_PROXY_ERRORS,   /* malformed PROXY headers, or none */
	STAT_LIMIT_SOURCE,   /* too many of one source, or too fast */
	STAT_LIMIT_SUBNET,   /* the same of one network */
	STAT_LIMIT_FULL,     /* the gateway had too many connections */
	STAT_LIMIT_MESSAGES, /* sessions with as many mails as may be */
	STAT_LIMIT_ERRORS,   /* sessions ended for too many errors */
	STAT_LIMIT_JUNK,     /* or commands that do no mail */
	STAT_LIMIT_TIME,     /* or because their time was up */
	STAT_LIMIT_SLOW,     /* or because content came too slowly */
	STAT_TIMEOUTS,       /* sessions in which nothing came */
	STAT_BARE_NEWLINES,  /* content with one (smuggling) */
	STAT_STRESS,         /* 1: the process is under stress */
	STAT_STRESS_REFUSED, /* newcomers turned away for it */
	/* TLS */
	STAT_TLS_HALF_OPEN,  /* handshakes under way now */
	STAT_TLS_HANDSHAKES, /* that came to a good end */
	STAT_TLS_RESUMED,    /* of these */
	STAT_TLS_FAILED,
	STAT_TLS_REFUSED,        /* beyond `limit handshakes' */
	STAT_STARTTLS_INJECTION, /* plain text behind STARTTLS */
	/* AUTH */
	STAT_AUTH_OK,
	STAT_AUTH_FAILED,
	STAT_AUTH_BUSY,    /* answered 454 */
	STAT_AUTH_LIMITED, /* sources beyond `limit auth-failures' */
	/* extensions in use */
	STAT_BDAT, /* mails that came in chunks */
	STAT_DSN,  /* or with DSN parameters */
	STAT_SMTPUTF8,
	STAT_REQUIRETLS,
	STAT_XCLIENT,
	STAT_PROXY, /* sessions with a PROXY header */
	STAT_COUNT
};

void stats_add(enum statistic which, uint64_t n);
void stats_sub(enum statistic which, uint64_t n);
void stats_set(enum statistic which, uint64_t n);
/* All of them, ended by a NULL name. */
const struct counter *stats_all(void);
/* A mail was accepted: from MAIL to its 250. */
void stats_accept(uint64_t us);
const struct latency *stats_accept_times(void);

#endif
