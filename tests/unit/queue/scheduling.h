/* The scheduler alone, with agents that do as they are told. */
#ifndef POSTERN_TESTS_UNIT_QUEUE_SCHEDULING_H
#define POSTERN_TESTS_UNIT_QUEUE_SCHEDULING_H

#include <string.h>

#include "queue/schedule.h"
#include "tests/unit/queue/parts.h"

enum { STARTS_MAX = 4000 };

#define ALL UINT64_MAX

static struct {
	struct index ix;
	struct schedule s;
	struct deliver_numbers numbers;
	struct word *action;
	uint64_t seq;
	uint64_t now;
	uint64_t expired; /* a message's seq that is not admitted, or ALL */

	struct start {
		struct flight flight;
		struct destination *d;
		struct agent *a;
		struct rcpt *first;
		uint32_t nrcpt;
	} starts[STARTS_MAX];

	int nstarts;
} t;

static inline bool
admit(void *ctx, const struct destination *d, struct rcpt *r)
{
	(void)ctx, (void)d;
	return rcpt_entry(r)->seq != t.expired && t.expired != ALL;
}

static inline void
start(void *ctx, struct destination *d, struct agent *a,
    struct rcpt_list *rcpts, uint32_t nrcpt)
{
	struct start *n = &t.starts[t.nstarts++];
	struct rcpt *r;

	(void)ctx;
	ck_assert_int_le(t.nstarts, STARTS_MAX);
	*n = (struct start){
		.d = d, .a = a, .first = TAILQ_FIRST(rcpts), .nrcpt = nrcpt
	};
	schedule_begin(&t.s, &n->flight, d, a, t.now);
	TAILQ_FOREACH(r, rcpts, link)
		r->place = PLACE_WORK;
}

static const struct schedule_ops ops = { admit, start };

static inline void
setup(uint64_t concurrency, uint64_t rcpts)
{
	memset(&t, 0, sizeof(t));
	index_init(&t.ix);
	schedule_init(&t.s, &ops, NULL, &t.ix.words);
	t.action = word_get(&t.ix.words, STR("act"));
	t.numbers.concurrency = concurrency;
	t.numbers.recipients = rcpts;
}

static inline struct route
route_to(const char *hops)
{
	return (struct route){ .pool = POOL_DELIVERY,
		.action = t.action,
		.hops = str_of(hops),
		.numbers = &t.numbers,
		.numbers_hash = schedule_hash(&t.numbers) };
}

static inline void
add(const char *hops, uint32_t nrcpt, uint64_t now)
{
	struct entry *e = part_entry(&t.ix, ++t.seq, nrcpt, "x", "act");
	struct route to = route_to(hops);

	for (uint32_t i = 0; i < nrcpt; i++)
		schedule_add(&t.s, &e->rcpts[i], &to, now);
}

static inline uint64_t
run(uint64_t now)
{
	t.now = now;
	return schedule_run(&t.s, now);
}

static inline void
done(int n, enum work_end end, uint64_t now)
{
	schedule_done(&t.s, &t.starts[n].flight, end, now);
}

#endif
