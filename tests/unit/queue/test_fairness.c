/*
 * The scheduler under load, with a clock of its own: what bad destinations
 * do to the others.
 */
#include <string.h>

#include "lib/base/alloc.h"
#include "queue/schedule.h"
#include "tests/unit/queue/parts.h"

enum { MINUTE = 60000, END = 5 * MINUTE, MAILS_MAX = 220000 };

enum kind { GOOD, REFUSES, SILENT, SLOW };

/* What a destination does with a work. */
static const struct {
	uint64_t ms;
	enum work_end end;
} kinds[] = {
	[GOOD] = { 100, WORK_DONE },
	[REFUSES] = { 3, WORK_UNREACHABLE },
	[SILENT] = { 2 * MINUTE, WORK_UNREACHABLE },
	[SLOW] = { MINUTE, WORK_DONE },
};

struct mail {
	struct flight flight;
	struct mail *next; /* that ends in the same millisecond */
	struct rcpt *rcpt;
	enum kind kind;
	uint64_t born_ms, began_ms;
};

static struct {
	struct index ix;
	struct schedule s;
	struct agent agent;
	struct deliver_numbers numbers;
	struct word *action;
	struct mail *mails; /* by seq */
	uint64_t nmails, now;
	struct mail *ends[END + 3 * MINUTE];
	uint32_t chance;
} t;

static bool
admit(void *ctx, const struct destination *d, struct rcpt *r)
{
	(void)ctx, (void)d, (void)r;
	return true;
}

static void
start(void *ctx, struct destination *d, struct agent *a,
    struct rcpt_list *rcpts, uint32_t nrcpt)
{
	struct rcpt *r = TAILQ_FIRST(rcpts);
	struct mail *m = &t.mails[rcpt_entry(r)->seq];
	uint64_t end = t.now + kinds[m->kind].ms;

	(void)ctx;
	ck_assert_uint_eq(nrcpt, 1);
	schedule_begin(&t.s, &m->flight, d, a, t.now);
	m->rcpt = r;
	m->began_ms = t.now;
	r->place = PLACE_WORK;
	m->next = t.ends[end];
	t.ends[end] = m;
}

static const struct schedule_ops ops = { admit, start };

static void
setup(uint32_t capacity)
{
	memset(&t, 0, sizeof(t));
	index_init(&t.ix);
	schedule_init(&t.s, &ops, NULL, &t.ix.words);
	t.action = word_get(&t.ix.words, STR("act"));
	t.numbers.concurrency = 20;
	t.numbers.recipients = 100;
	t.agent.capacity = capacity;
	schedule_add_agent(&t.s, &t.agent, POOL_DELIVERY);
	t.mails = xcalloc(MAILS_MAX, sizeof(*t.mails));
	t.chance = 1;
}

static void
teardown(void)
{
	schedule_clear(&t.s);
	word_drop(&t.ix.words, &t.action);
	index_clear(&t.ix);
	free(t.mails);
}

static uint32_t
draw(uint32_t n)
{
	t.chance = t.chance * 1664525U + 1013904223U;
	return (t.chance >> 8) % n;
}

static void
add(enum kind kind, uint32_t number)
{
	uint64_t seq = ++t.nmails;
	struct entry *e = part_entry(&t.ix, seq, 1, "x", "act");
	char hops[40];
	struct route to = { .pool = POOL_DELIVERY,
		.action = t.action,
		.numbers = &t.numbers,
		.numbers_hash = 1 };

	ck_assert_uint_lt(seq, MAILS_MAX);
	t.mails[seq] = (struct mail){
		.kind = kind, .born_ms = t.now, .began_ms = UINT64_MAX
	};
	snprintf(hops, sizeof(hops), "mx://d%d-%u", (int)kind, number);
	to.hops = str_of(hops);
	schedule_add(&t.s, &e->rcpts[0], &to, t.now);
}

/* What ends in this millisecond; then whatever can begin does. */
static void
step(void)
{
	struct mail *m;
	struct entry *e;

	while ((m = t.ends[t.now]) != NULL) {
		t.ends[t.now] = m->next;
		schedule_done(&t.s, &m->flight, kinds[m->kind].end, t.now);
		m->rcpt->place = PLACE_NONE;
		e = rcpt_entry(m->rcpt);
		index_del(&t.ix, &e);
	}
	schedule_run(&t.s, t.now);
	t.now++;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* How long good mail waited for its turn: of a hundred, so many waited less. */
static uint64_t
waited(unsigned int percent)
{
	uint64_t *ms = xcalloc(t.nmails + 1, sizeof(*ms)), n = 0, at;

	for (uint64_t i = 1; i <= t.nmails; i++) {
		const struct mail *m = &t.mails[i];

		if (m->kind != GOOD)
			continue;
		ck_assert_uint_ne(m->began_ms, UINT64_MAX);
		ms[n++] = m->began_ms - m->born_ms;
	}
	ck_assert_uint_gt(n, 0);
	qsort(ms, n, sizeof(*ms), compare);
	at = ms[(n - 1) * percent / 100];
	free(ms);
	return at;
}

/* 10,000 mails in 100 seconds to 1,000 destinations, one in ten of them bad;
 * or the same without the bad ones. */
static void
play_thousand(bool with_bad)
{
	setup(512);
	while (t.now < 100000) {
		uint32_t d = t.now % 10 == 0 ? draw(1000) : UINT32_MAX;
		bool bad = d < 100;

		if (d < 1000 && (!bad || with_bad))
			add(bad ? (enum kind)(REFUSES + d % 3) : GOOD, d);
		step();
	}
	while (t.now < 100000 + MINUTE)
		step();
}

START_TEST(a_tenth_is_bad)
{
	uint64_t median, most, all;

	play_thousand(false);
	median = waited(50);
	most = waited(99);
	all = waited(100);
	teardown();
	play_thousand(true);
	ck_assert_uint_eq(waited(50), median);
	ck_assert_uint_eq(waited(99), most);
	ck_assert_uint_eq(waited(100), all);
	teardown();
}

END_TEST

/* Far more bad destinations than there are places, when the good ones are
 * known: they do not wait longer. */
START_TEST(a_flood_of_silent_ones)
{
	uint64_t until[] = { MINUTE, 3 * MINUTE };

	setup(128);
	for (int phase = 0; phase < 2; phase++) {
		while (t.now < until[phase]) {
			if (t.now % 10 == 0)
				add(GOOD, draw(200));
			if (phase == 1 && t.now % 10 == 5)
				add(t.now % 20 == 5 ? SILENT : SLOW,
				    draw(1000));
			step();
		}
	}
	while (t.now < END)
		step();
	ck_assert_uint_eq(waited(50), 0);
	ck_assert_uint_le(waited(99), 100);
	teardown();
}

END_TEST

/* Nor do the good ones with all their mail keep the unknown waiting. */
START_TEST(the_unknown_have_their_turn)
{
	uint64_t n;

	setup(64);
	while (t.now < 10000) {
		/* more than there are places for */
		add(GOOD, draw(20));
		step();
	}
	for (uint32_t i = 0; i < 10; i++)
		add(GOOD, 1000 + i);
	n = t.nmails;
	while (t.now < 10300)
		step();
	for (uint64_t i = n - 9; i <= n; i++)
		ck_assert_uint_lt(t.mails[i].began_ms, 10300);
	while (t.now < END)
		step();
	teardown();
}

END_TEST

/* It would take hours if a step walked over all of them. */
START_TEST(a_hundred_thousand_destinations)
{
	uint64_t began = 0;

	setup(2048);
	for (uint32_t i = 0; i < 200000; i++)
		add(i % 10 != 0  ? GOOD :
		    i % 200 == 0 ? SILENT :
				   REFUSES,
		    i % 100000);
	while (t.now < END) {
		(void)schedule_count_put_off(&t.s);
		step();
	}
	for (uint64_t i = 1; i <= t.nmails; i++)
		began += t.mails[i].kind == GOOD &&
			 t.mails[i].began_ms != UINT64_MAX;
	ck_assert_uint_eq(began, 180000);
	teardown();
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { a_tenth_is_bad, a_flood_of_silent_ones,
		the_unknown_have_their_turn, a_hundred_thousand_destinations };

	return PART_RUN("fairness", tests);
}
