/* What is known of each filter, to look into (`show milters`). */
#ifndef POSTERN_MILTERS_CLIENT_MILTER_REPORT_H
#define POSTERN_MILTERS_CLIENT_MILTER_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "milters/client/milter.h"

enum { MILTER_LATENCY_BUCKETS = 56, MILTER_FAULTS_KEPT = 4 };

enum milter_state { MILTER_UP, MILTER_RESTING, MILTER_PROBING };

struct milter_latency {
	uint32_t n[MILTER_LATENCY_BUCKETS]; /* see milter_bucket_us */
};

struct milter_socket_report {
	const char *text;
	enum milter_state state;
	uint32_t sessions; /* outstanding connections */
	uint64_t failures;
	const char *fault; /* the last; NULL: none */
};

struct milter_report {
	const struct milter *milter;
	enum milter_state state;
	uint32_t sessions;
	uint64_t connections;                   /* ever */
	uint64_t verdicts[MILTER_SHUTDOWN + 1]; /* final ones of a message, and
						 * refusals before */
	uint64_t failures;
	uint64_t skipped;            /* not asked because it rests */
	uint64_t compared, differed; /* shadow */
	uint64_t edits;
	struct milter_latency latency[MILTER_STAGES];
	uint32_t version, actions, steps; /* as negotiated last; 0: never */
	size_t nsockets;
	struct milter_socket_report sockets[MILTER_SOCKETS_MAX];
};

/* Bucket n holds what took less than so many microseconds (and not less than
 * the one before). */
uint64_t milter_bucket_us(unsigned int n);
/* Of each filter of the present configuration. */
void milters_report(
    void (*fn)(void *ctx, const struct milter_report *r), void *ctx);

#endif
