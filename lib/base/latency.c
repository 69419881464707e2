/* Buckets at 64, 96, 128, 192, 256 ... microseconds, up to 2.4 hours: a filter
 * is quick, a mail may wait for its delivery. */
#include "lib/base/latency.h"

uint64_t
latency_bound_us(unsigned int n)
{
	if (n >= LATENCY_BUCKETS - 1)
		return UINT64_MAX;
	return (n % 2 == 0 ? (uint64_t)64 : (uint64_t)96) << n / 2;
}

unsigned int
latency_bucket(uint64_t us)
{
	unsigned int n = 0;

	while (us >= latency_bound_us(n) && n < LATENCY_BUCKETS - 1)
		n++;
	return n;
}

uint64_t
latency_quantile_us(
    const uint64_t counts[static LATENCY_BUCKETS], unsigned int permille)
{
	uint64_t all = 0, below = 0, rank;
	unsigned int n;

	for (n = 0; n < LATENCY_BUCKETS; n++)
		all += counts[n];
	if (all == 0)
		return 0;
	/* Of `all' the one at this place, counted from 1. */
	rank = all / 1000 * permille + (all % 1000 * permille + 999) / 1000;
	if (rank == 0)
		rank = 1;
	for (n = 0; below + counts[n] < rank; n++)
		below += counts[n];
	uint64_t from = n == 0 ? 0 : latency_bound_us(n - 1);
	if (n == LATENCY_BUCKETS - 1)
		return from;
	return from + (latency_bound_us(n) - from) * (rank - below) / counts[n];
}

void
latency_add(struct latency *l, uint64_t us)
{
	l->counts[latency_bucket(us)]++;
	l->count++;
	l->sum_us += us;
}
