/* Times in a histogram of fixed buckets, two for each doubling: what counts
 * them and what reads them later agree on the bounds. */
#ifndef POSTERN_BASE_LATENCY_H
#define POSTERN_BASE_LATENCY_H

#include <stdint.h>

enum { LATENCY_BUCKETS = 56 };

/* Bucket n holds what took less than so many microseconds, and not less than
 * the one before. The last has no bound: UINT64_MAX. */
uint64_t latency_bound_us(unsigned int n);
/* The bucket of a time. */
unsigned int latency_bucket(uint64_t us);
/* The time below which so many of 1000 lie, guessed within its bucket; 0 when
 * nothing was counted. */
uint64_t latency_quantile_us(
    const uint64_t counts[static LATENCY_BUCKETS], unsigned int permille);

/* What somebody counts of one kind. */
struct latency {
	uint64_t counts[LATENCY_BUCKETS];
	uint64_t count, sum_us;
};

void latency_add(struct latency *l, uint64_t us);

#endif
