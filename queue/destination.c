/*
 * The window begins at 2 and grows by one with each work that ended well, up
 * to the configured concurrency. Who cannot be reached falls back to 1 and
 * rests: a probe now and then, no flood.
 */
#include "queue/destination.h"

#include <string.h>

#include "lib/base/alloc.h"

enum {
	BACKOFF_FIRST_MS = 1000,
	/* How long an idle one is remembered: its failures, and that it is
	 * good. */
	FORGET_MS = 600000,
	FORGET_GOOD_MS = 60000
};

static uint32_t
to_u32(uint64_t n)
{
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

struct destination *
destination_new(const struct route *to)
{
	const struct deliver_numbers *n = to->numbers;
	struct destination *d = xcalloc(1, sizeof(*d) + to->hops.len + 1);

	if (to->hops.len > 0)
		memcpy(d->text, to->hops.p, to->hops.len);
	d->hops = (struct str){ d->text, to->hops.len };
	d->pool = to->pool;
	d->held = to->held;
	d->numbers_hash = to->numbers_hash;
	d->concurrency = to_u32(n->concurrency);
	d->recipients = to_u32(n->recipients);
	/* Not zero: the shortest period is a second, the highest rate a
	 * million. */
	d->gap_us = n->rate > 0 ? n->rate_period * 1000 / n->rate : 0;
	d->window =
	    d->concurrency < WINDOW_FIRST ? d->concurrency : WINDOW_FIRST;
	d->class = CLASS_NEW;
	TAILQ_INIT(&d->waiting);
	return d;
}

uint8_t
destination_class(const struct destination *d)
{
	if (d->failures > 0 || d->nslow > 0 || d->proof == PROOF_LATE)
		return CLASS_BAD;
	return d->proof == PROOF_SOON ? CLASS_GOOD : CLASS_NEW;
}

static uint64_t
rate_allows_ms(const struct destination *d)
{
	return (d->rate_us + 999) / 1000;
}

uint64_t
destination_may_go_ms(const struct destination *d)
{
	uint64_t rate_ms = rate_allows_ms(d);

	return d->not_before_ms > rate_ms ? d->not_before_ms : rate_ms;
}

uint64_t
destination_keep_ms(const struct destination *d, uint64_t now_ms)
{
	if (d->failures > 0)
		return FORGET_MS;
	if (d->proof != PROOF_NONE)
		return FORGET_GOOD_MS;
	return rate_allows_ms(d) > now_ms ? rate_allows_ms(d) - now_ms : 0;
}

void
destination_begun(struct destination *d, uint64_t now_ms)
{
	uint64_t from = (now_ms > 1000 ? now_ms - 1000 : 0) * 1000;

	if (d->gap_us == 0)
		return;
	/* Evenly spaced, with what was not used of the last second. */
	d->rate_us = (d->rate_us > from ? d->rate_us : from) + d->gap_us;
}

void
destination_did_well(struct destination *d, uint64_t ms)
{
	d->failures = 0;
	d->not_before_ms = 0;
	d->proof = ms > SLOW_MS ? PROOF_LATE : PROOF_SOON;
	if (d->window < d->concurrency)
		d->window++;
}

void
destination_failed(struct destination *d, uint64_t now_ms, uint64_t max_ms)
{
	uint64_t ms = BACKOFF_FIRST_MS;

	/* Of many under way, the first to fail counts. */
	if (d->not_before_ms > now_ms)
		return;
	for (uint32_t i = 0; i < d->failures && ms < max_ms; i++)
		ms *= 2;
	d->failures++;
	d->not_before_ms = now_ms + (ms < max_ms ? ms : max_ms);
	d->window = 1;
	d->proof = PROOF_NONE;
}
