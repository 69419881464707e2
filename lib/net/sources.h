/*
 * The counters that all smtpd workers share, so that a limit means the gateway
 * and not a process: connections in all, on each listener, of each source (/32
 * of IPv4, /64 of IPv6) and of each subnet (/24, /64), and the failures to
 * authenticate of each source.
 *
 * One sealed memfd of fixed size, made by the parent. Nothing in it is
 * trusted: the geometry travels in the size and is checked at map time, every
 * index is ours. Each worker counts in a column of its own, which the parent
 * sets to zero when the worker dies. No locks: a worker that is killed at
 * any instruction stops nobody.
 */
#ifndef POSTERN_NET_SOURCES_H
#define POSTERN_NET_SOURCES_H

#include <stdint.h>

#include "lib/base/fault.h"
#include "lib/net/addr.h"

struct sources; /* a mapping */

enum { SOURCES_COLUMNS_MAX = 64, SOURCES_LISTENERS_MAX = 256 };

/* A sealed memfd, the caller's to close; -1 with why. ncolumns: workers,
 * 1 to SOURCES_COLUMNS_MAX. */
int sources_create(uint32_t ncolumns, struct fault *why);
/* Maps it; fd stays the caller's and may be closed. column is the one this
 * process counts in. NULL with why when size, seals or column are wrong. */
struct sources *sources_map(int fd, uint32_t column, struct fault *why);
void sources_unmap(struct sources **s);

/* What holds; 0 means that there is no such limit. */
struct sources_limits {
	uint64_t connections; /* of the whole gateway */
	uint64_t per_source;  /* open at the same time */
	uint64_t rate;        /* new ones in rate_period_ms; as many may come
			       * at once */
	uint64_t rate_period_ms;
	/* the same of a subnet */
	uint64_t per_subnet;
	uint64_t subnet_rate;
	uint64_t subnet_rate_period_ms;
};

enum sources_verdict {
	SOURCES_OK,
	SOURCES_FULL,     /* the gateway has too many connections */
	SOURCES_TOO_MANY, /* this source has too many connections open */
	SOURCES_TOO_FAST, /* this source opens them too fast */
	SOURCES_SUBNET_TOO_MANY,
	SOURCES_SUBNET_TOO_FAST
};

/* A connection from a on listener begins. With SOURCES_OK it is counted, and
 * *ticket is what sources_leave needs; else nothing is counted (but an
 * attempt that came too fast uses up nothing). */
enum sources_verdict sources_enter(struct sources *s, const struct addr *a,
    uint32_t listener, const struct sources_limits *limits, uint64_t now_ms,
    uint32_t *ticket);
/* It has ended; exactly once for each SOURCES_OK. */
void sources_leave(struct sources *s, uint32_t listener, uint32_t ticket);

/* Open connections of the gateway; on one listener; of one source. */
uint64_t sources_total(const struct sources *s);
uint64_t sources_on_listener(const struct sources *s, uint32_t listener);
uint64_t sources_of(const struct sources *s, const struct addr *a);

/* --- failures to authenticate --- */

/* One more of a. The first one begins a window of period_ms, at whose end all
 * of them are forgotten. */
void sources_fail(struct sources *s, const struct addr *a, uint64_t period_ms,
    uint64_t now_ms);
/* Those of the present window; 0: there is none. */
uint64_t sources_failures(const struct sources *s, const struct addr *a,
    uint64_t period_ms, uint64_t now_ms);

/* The worker of this column is gone, and its connections with it. */
void sources_zero_column(struct sources *s, uint32_t column);

#endif
