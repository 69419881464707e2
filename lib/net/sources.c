#include "lib/net/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"

/*
 * The mapping is
 *
 *	struct header
 *	struct column [ncolumns]
 *	slot [NSLOTS] of sources: key, arrival, failures, open [ncolumns]
 *	slot [NSLOTS] of subnets, likewise
 *
 * A slot belongs to a source while its key is there. A source is looked for
 * in a window of WINDOW slots behind its hash; when it is not there it takes
 * a free one, or one whose source has nothing open and no memory of its rate
 * and its failures left. The hash has a secret of its own, so that nobody
 * outside can aim at a window.
 *
 * A connection holds the numbers of its slots, not its address: whatever
 * happens to a slot's key meanwhile, what was added is taken away at the same
 * place.
 */
enum {
	SLOT_BITS = 16, /* two of them make a ticket */
	NSLOTS = 1 << SLOT_BITS,
	WINDOW = 32
};

/* Which slots. */
enum part { SOURCES, SUBNETS, PARTS };

/* memfd must not shrink under a mapping: that would be a SIGBUS. */
enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

struct header {
	uint64_t magic;
	uint32_t ncolumns;
	uint32_t nslots;
	uint64_t secret;
	uint64_t unused[5]; /* fills a cache line */
};

static const uint64_t magic = 0x3253524352545350; /* PSTRCRS2 */

/* What one worker has open; only that worker writes it. */
struct column {
	_Atomic uint64_t total;
	uint64_t unused[7]; /* no cache line in common with the next */
	_Atomic uint32_t listener[SOURCES_LISTENERS_MAX];
};

struct slot {
	_Atomic uint64_t key; /* 0: free */
	/* When the next connection would come if they came evenly at the
	 * allowed rate (GCRA); microseconds. */
	_Atomic uint64_t arrival_us;
	/* Failures to authenticate: when they are forgotten (milliseconds),
	 * and in the last FAILURE_BITS how many they are. */
	_Atomic uint64_t failures;
	_Atomic uint32_t open[]; /* by column */
};

enum { FAILURE_BITS = 20, FAILURES_MAX = (1 << FAILURE_BITS) - 1 };

struct sources {
	char *base; /* owned, munmap */
	size_t size;
	uint32_t ncolumns; /* checked at map time, never read again */
	uint32_t column;
	uint64_t secret;
};

static size_t
slot_size(uint32_t ncolumns)
{
	size_t n = offsetof(struct slot, open) + ncolumns * sizeof(uint32_t);
	return (n + 7) & ~(size_t)7;
}

static size_t
map_size(uint32_t ncolumns)
{
	return sizeof(struct header) + ncolumns * sizeof(struct column) +
	       (size_t)PARTS * NSLOTS * slot_size(ncolumns);
}

static struct column *
column_at(const struct sources *s, uint32_t column)
{
	return (struct column *)(void *)(s->base + sizeof(struct header) +
					 column * sizeof(struct column));
}

static struct slot *
slot_at(const struct sources *s, enum part part, uint32_t index)
{
	size_t n = (size_t)part * NSLOTS + (index & (NSLOTS - 1));

	return (struct slot *)(void *)(s->base + sizeof(struct header) +
				       s->ncolumns * sizeof(struct column) +
				       n * slot_size(s->ncolumns));
}

int
sources_create(uint32_t ncolumns, struct fault *why)
{
	if (ncolumns == 0 || ncolumns > SOURCES_COLUMNS_MAX)
		return fault_set(why, FAULT_OURS, "%u workers", ncolumns);
	struct header h = {
		.magic = magic, .ncolumns = ncolumns, .nslots = NSLOTS
	};
	if (getrandom(&h.secret, sizeof(h.secret), 0) != sizeof(h.secret))
		return fault_errno(why, FAULT_OURS, "getrandom");
	int fd =
	    memfd_create("postern-sources", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1)
		return fault_errno(why, FAULT_OURS, "memfd_create");
	if (ftruncate(fd, (off_t)map_size(ncolumns)) == -1 ||
	    pwrite(fd, &h, sizeof(h), 0) != sizeof(h) ||
	    fcntl(fd, F_ADD_SEALS, SEALS) == -1) {
		fault_errno(why, FAULT_OURS, "shared counters");
		close(fd);
		return -1;
	}
	return fd;
}

/* Is fd what sources_create made, for a table of this many columns? */
static int
check(int fd, struct header *h, struct fault *why)
{
	struct stat st;
	if (fstat(fd, &st) == -1 || pread(fd, h, sizeof(*h), 0) != sizeof(*h) ||
	    h->magic != magic)
		return fault_set(why, FAULT_OURS, "not shared counters");
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals == -1 || (seals & SEALS) != SEALS)
		return fault_set(
		    why, FAULT_OURS, "shared counters without their seals");
	if (h->ncolumns == 0 || h->ncolumns > SOURCES_COLUMNS_MAX ||
	    h->nslots != NSLOTS || st.st_size < 0 ||
	    (size_t)st.st_size != map_size(h->ncolumns))
		return fault_set(
		    why, FAULT_OURS, "shared counters of a wrong size");
	return 0;
}

struct sources *
sources_map(int fd, uint32_t column, struct fault *why)
{
	struct header h = { 0 };
	if (check(fd, &h, why) == -1)
		return NULL;
	if (column >= h.ncolumns) {
		fault_set(why, FAULT_OURS, "no column %u", column);
		return NULL;
	}
	size_t size = map_size(h.ncolumns);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		fault_errno(why, FAULT_OURS, "mmap of shared counters");
		return NULL;
	}
	struct sources *s = xcalloc(1, sizeof(*s));
	s->base = p;
	s->size = size;
	s->ncolumns = h.ncolumns;
	s->column = column;
	s->secret = h.secret;
	return s;
}

void
sources_unmap(struct sources **s)
{
	if (*s == NULL)
		return;
	munmap((*s)->base, (*s)->size);
	free(*s);
	*s = NULL;
}

/* The finalizer of MurmurHash3 around the secret. */
static uint64_t
mix(uint64_t key, uint64_t secret)
{
	uint64_t h = key ^ secret;
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccd;
	h ^= h >> 33;
	h += secret;
	h *= 0xc4ceb9fe1a85ec53;
	h ^= h >> 33;
	return h;
}

static uint64_t
key_of(const struct addr *a, enum part part)
{
	uint64_t key =
	    part == SUBNETS ? addr_subnet_key(a) : addr_source_key(a);
	return key == 0 ? 1 : key; /* 0 marks a free slot */
}

static uint64_t
open_in(const struct sources *s, const struct slot *slot)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < s->ncolumns; i++)
		n += atomic_load(&slot->open[i]);
	return n;
}

/* Until when something is remembered of it. */
static uint64_t
remembered_us(const struct slot *slot)
{
	uint64_t arrival = atomic_load(&slot->arrival_us);
	uint64_t failures =
	    (atomic_load(&slot->failures) >> FAILURE_BITS) * 1000;
	return arrival > failures ? arrival : failures;
}

static bool
find(const struct sources *s, enum part part, uint64_t key, uint32_t *index)
{
	uint32_t start = (uint32_t)mix(key, s->secret);
	for (uint32_t i = 0; i < WINDOW; i++) {
		*index = (start + i) & (NSLOTS - 1);
		if (atomic_load(&slot_at(s, part, *index)->key) == key)
			return true;
	}
	return false;
}

/* Takes a slot for a source that has none: a free or idle one, else, of
 * those with nothing open, the one that is remembered the shortest. */
static bool
claim(const struct sources *s, enum part part, uint64_t key, uint64_t now_us,
    uint32_t *index)
{
	uint32_t start = (uint32_t)mix(key, s->secret);
	uint64_t oldest = UINT64_MAX, old = 0;
	uint32_t best = 0;
	for (uint32_t i = 0; i < WINDOW; i++) {
		uint32_t at = (start + i) & (NSLOTS - 1);
		struct slot *slot = slot_at(s, part, at);
		uint64_t present = atomic_load(&slot->key);
		uint64_t until = remembered_us(slot);
		if (present != 0 && open_in(s, slot) != 0)
			continue;
		if (present == 0 || until <= now_us)
			until = 0;
		if (until < oldest) {
			oldest = until;
			best = at;
			old = present;
		}
		if (until == 0)
			break;
	}
	if (oldest == UINT64_MAX)
		return false;
	struct slot *slot = slot_at(s, part, best);
	if (!atomic_compare_exchange_strong(&slot->key, &old, key))
		return false;
	atomic_store(&slot->arrival_us, 0);
	atomic_store(&slot->failures, 0);
	*index = best;
	return true;
}

/* Counts one more of key; false when there is no slot to be had. */
static bool
take(const struct sources *s, enum part part, uint64_t key, uint64_t now_us,
    uint32_t *index)
{
	/* A few rounds: another worker may claim the same slot meanwhile. */
	for (int round = 0; round < 4; round++) {
		if (!find(s, part, key, index) &&
		    !claim(s, part, key, now_us, index))
			continue;
		struct slot *slot = slot_at(s, part, *index);
		atomic_fetch_add(&slot->open[s->column], 1);
		if (atomic_load(&slot->key) == key)
			return true;
		atomic_fetch_sub(&slot->open[s->column], 1);
	}
	return false;
}

static void
give_back(const struct sources *s, enum part part, uint32_t index)
{
	atomic_fetch_sub(&slot_at(s, part, index)->open[s->column], 1);
}

/* How far one connection moves the arrival; 0: there is no such limit. */
static uint64_t
step_us(uint64_t rate, uint64_t period_ms)
{
	return rate != 0 ? period_ms * 1000 / rate : 0;
}

/* GCRA: one connection moves the arrival by period / rate; it is too fast
 * when that lies more than a period ahead. */
static bool
is_too_fast(
    struct slot *slot, uint64_t rate, uint64_t period_ms, uint64_t now_us)
{
	uint64_t step = step_us(rate, period_ms);
	if (step == 0)
		return false;
	uint64_t period_us = period_ms * 1000;
	uint64_t arrival = atomic_load(&slot->arrival_us);
	for (;;) {
		uint64_t from = arrival > now_us ? arrival : now_us;
		/* Never further ahead than a period, whoever wrote it. */
		if (from > now_us + period_us)
			from = now_us + period_us;
		if (from + step > now_us + period_us)
			return true;
		if (atomic_compare_exchange_weak(
			&slot->arrival_us, &arrival, from + step))
			return false;
	}
}

/* The slots of one connection. */
struct place {
	uint32_t index[PARTS];
	struct slot *slot[PARTS];
};

static enum sources_verdict
judge(const struct sources *s, const struct place *p,
    const struct sources_limits *l, uint64_t now_us)
{
	struct slot *source = p->slot[SOURCES], *subnet = p->slot[SUBNETS];

	if (l->connections != 0 && sources_total(s) > l->connections)
		return SOURCES_FULL;
	if (l->per_source != 0 && open_in(s, source) > l->per_source)
		return SOURCES_TOO_MANY;
	if (l->per_subnet != 0 && open_in(s, subnet) > l->per_subnet)
		return SOURCES_SUBNET_TOO_MANY;
	if (is_too_fast(source, l->rate, l->rate_period_ms, now_us))
		return SOURCES_TOO_FAST;
	if (is_too_fast(
		subnet, l->subnet_rate, l->subnet_rate_period_ms, now_us)) {
		/* It has used up nothing. */
		atomic_fetch_sub(
		    &source->arrival_us, step_us(l->rate, l->rate_period_ms));
		return SOURCES_SUBNET_TOO_FAST;
	}
	return SOURCES_OK;
}

/* A slot of each part; false when there is none to be had. */
static bool
take_place(const struct sources *s, const struct addr *a, uint64_t now_us,
    struct place *p)
{
	for (enum part i = SOURCES; i < PARTS; i++) {
		if (!take(s, i, key_of(a, i), now_us, &p->index[i])) {
			if (i > SOURCES)
				give_back(s, SOURCES, p->index[SOURCES]);
			return false;
		}
		p->slot[i] = slot_at(s, i, p->index[i]);
	}
	return true;
}

enum sources_verdict
sources_enter(struct sources *s, const struct addr *a, uint32_t listener,
    const struct sources_limits *limits, uint64_t now_ms, uint32_t *ticket)
{
	uint64_t now_us = now_ms * 1000;
	struct place place;
	/* A window full of sources with open connections: as good as full. */
	if (!take_place(s, a, now_us, &place))
		return SOURCES_FULL;
	struct column *c = column_at(s, s->column);
	/* Counted first and judged then: of two who come at once, both see
	 * each other, and none slips through between. */
	atomic_fetch_add(&c->total, 1);
	enum sources_verdict v = judge(s, &place, limits, now_us);
	if (v != SOURCES_OK) {
		atomic_fetch_sub(&c->total, 1);
		for (enum part i = SOURCES; i < PARTS; i++)
			give_back(s, i, place.index[i]);
		return v;
	}
	if (listener < SOURCES_LISTENERS_MAX)
		atomic_fetch_add(&c->listener[listener], 1);
	*ticket = place.index[SUBNETS] << SLOT_BITS | place.index[SOURCES];
	return SOURCES_OK;
}

void
sources_leave(struct sources *s, uint32_t listener, uint32_t ticket)
{
	struct column *c = column_at(s, s->column);
	give_back(s, SOURCES, ticket);
	give_back(s, SUBNETS, ticket >> SLOT_BITS);
	atomic_fetch_sub(&c->total, 1);
	if (listener < SOURCES_LISTENERS_MAX)
		atomic_fetch_sub(&c->listener[listener], 1);
}

/* --- failures --- */

/* Those that count now; one whose window would end after the longest possible
 * has been written by nobody of us. */
static uint64_t
present_failures(uint64_t word, uint64_t period_ms, uint64_t now_ms)
{
	uint64_t end = word >> FAILURE_BITS;
	return end > now_ms && end <= now_ms + period_ms ? word & FAILURES_MAX :
							   0;
}

void
sources_fail(struct sources *s, const struct addr *a, uint64_t period_ms,
    uint64_t now_ms)
{
	uint64_t key = key_of(a, SOURCES);
	uint32_t index;
	if (!find(s, SOURCES, key, &index) &&
	    !claim(s, SOURCES, key, now_ms * 1000, &index))
		return; /* as if it were the first */
	struct slot *slot = slot_at(s, SOURCES, index);
	uint64_t old = atomic_load(&slot->failures), fresh;
	do {
		uint64_t n = present_failures(old, period_ms, now_ms);
		if (n == 0)
			fresh = (now_ms + period_ms) << FAILURE_BITS | 1;
		else if (n < FAILURES_MAX)
			fresh = old + 1;
		else
			return;
	} while (!atomic_compare_exchange_weak(&slot->failures, &old, fresh));
}

uint64_t
sources_failures(const struct sources *s, const struct addr *a,
    uint64_t period_ms, uint64_t now_ms)
{
	uint32_t index;
	if (!find(s, SOURCES, key_of(a, SOURCES), &index))
		return 0;
	return present_failures(
	    atomic_load(&slot_at(s, SOURCES, index)->failures), period_ms,
	    now_ms);
}

/* --- how many there are --- */

uint64_t
sources_total(const struct sources *s)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < s->ncolumns; i++)
		n += atomic_load(&column_at(s, i)->total);
	return n;
}

uint64_t
sources_on_listener(const struct sources *s, uint32_t listener)
{
	uint64_t n = 0;
	if (listener >= SOURCES_LISTENERS_MAX)
		return 0;
	for (uint32_t i = 0; i < s->ncolumns; i++)
		n += atomic_load(&column_at(s, i)->listener[listener]);
	return n;
}

uint64_t
sources_of(const struct sources *s, const struct addr *a)
{
	uint32_t index;
	return find(s, SOURCES, key_of(a, SOURCES), &index) ?
		   open_in(s, slot_at(s, SOURCES, index)) :
		   0;
}

void
sources_zero_column(struct sources *s, uint32_t column)
{
	if (column >= s->ncolumns)
		return;
	struct column *c = column_at(s, column);
	atomic_store(&c->total, 0);
	for (uint32_t i = 0; i < SOURCES_LISTENERS_MAX; i++)
		atomic_store(&c->listener[i], 0);
	/* The parts lie behind one another. */
	for (uint32_t i = 0; i < PARTS * NSLOTS; i++) {
		struct slot *slot =
		    slot_at(s, (enum part)(i >> SLOT_BITS), i & (NSLOTS - 1));
		if (atomic_load(&slot->open[column]) != 0)
			atomic_store(&slot->open[column], 0);
	}
}
