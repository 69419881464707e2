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
 *	slot [NSLOTS]: key, arrival, open [ncolumns]
 *
 * A slot belongs to a source while its key is there. A source is looked for
 * in a window of WINDOW slots behind its hash; when it is not there it takes
 * a free one, or one whose source has nothing open and no memory of its rate
 * left. The hash has a secret of its own, so that nobody outside can aim at a
 * window.
 *
 * A connection holds its slot's number, not its address: whatever happens to
 * the slot's key meanwhile, what was added is taken away at the same place.
 */
enum { NSLOTS = 65536, WINDOW = 32, SLOT_WORDS = 2 };

/* memfd must not shrink under a mapping: that would be a SIGBUS. */
enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

struct header {
	uint64_t magic;
	uint32_t ncolumns;
	uint32_t nslots;
	uint64_t secret;
	uint64_t unused[5]; /* fills a cache line */
};

static const uint64_t magic = 0x3153524352545350; /* PSTRCRS1 */

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
	_Atomic uint32_t open[]; /* by column */
};

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
	       NSLOTS * slot_size(ncolumns);
}

static struct column *
column_at(const struct sources *s, uint32_t column)
{
	return (struct column *)(void *)(s->base + sizeof(struct header) +
					 column * sizeof(struct column));
}

static struct slot *
slot_at(const struct sources *s, uint32_t index)
{
	return (struct slot *)(void *)(s->base + sizeof(struct header) +
				       s->ncolumns * sizeof(struct column) +
				       (index & (NSLOTS - 1)) *
					   slot_size(s->ncolumns));
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
key_of(const struct addr *a)
{
	uint64_t key = addr_source_key(a);
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

/* May another source have this slot? */
static bool
is_idle(const struct sources *s, const struct slot *slot, uint64_t now_us)
{
	return atomic_load(&slot->arrival_us) <= now_us &&
	       open_in(s, slot) == 0;
}

static bool
find(const struct sources *s, uint64_t key, uint32_t *index)
{
	uint32_t start = (uint32_t)mix(key, s->secret);
	for (uint32_t i = 0; i < WINDOW; i++) {
		*index = (start + i) & (NSLOTS - 1);
		if (atomic_load(&slot_at(s, *index)->key) == key)
			return true;
	}
	return false;
}

/* Takes a slot for a source that has none: a free or idle one, else, of
 * those with nothing open, the one whose rate is remembered longest ago. */
static bool
claim(const struct sources *s, uint64_t key, uint64_t now_us, uint32_t *index)
{
	uint32_t start = (uint32_t)mix(key, s->secret);
	uint64_t oldest = UINT64_MAX, old = 0;
	uint32_t best = 0;
	for (uint32_t i = 0; i < WINDOW; i++) {
		uint32_t at = (start + i) & (NSLOTS - 1);
		struct slot *slot = slot_at(s, at);
		uint64_t present = atomic_load(&slot->key);
		uint64_t arrival = atomic_load(&slot->arrival_us);
		if (present == 0 || is_idle(s, slot, now_us))
			arrival = 0;
		else if (open_in(s, slot) != 0)
			continue;
		if (arrival < oldest) {
			oldest = arrival;
			best = at;
			old = present;
		}
		if (arrival == 0)
			break;
	}
	if (oldest == UINT64_MAX)
		return false;
	struct slot *slot = slot_at(s, best);
	if (!atomic_compare_exchange_strong(&slot->key, &old, key))
		return false;
	atomic_store(&slot->arrival_us, 0);
	*index = best;
	return true;
}

/* Counts one more for the source; false when there is no slot to be had. */
static bool
take(const struct sources *s, uint64_t key, uint64_t now_us, uint32_t *index)
{
	/* A few rounds: another worker may claim the same slot meanwhile. */
	for (int round = 0; round < 4; round++) {
		if (!find(s, key, index) && !claim(s, key, now_us, index))
			continue;
		struct slot *slot = slot_at(s, *index);
		atomic_fetch_add(&slot->open[s->column], 1);
		if (atomic_load(&slot->key) == key)
			return true;
		atomic_fetch_sub(&slot->open[s->column], 1);
	}
	return false;
}

/* GCRA: one connection moves the arrival by period / rate; it is too fast
 * when that lies more than a period ahead. */
static bool
is_too_fast(struct slot *slot, const struct sources_limits *l, uint64_t now_us)
{
	if (l->rate == 0 || l->rate_period_ms == 0)
		return false;
	uint64_t period_us = l->rate_period_ms * 1000;
	uint64_t step = period_us / l->rate;
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

static enum sources_verdict
judge(const struct sources *s, struct slot *slot,
    const struct sources_limits *l, uint64_t now_us)
{
	if (l->connections != 0 && sources_total(s) > l->connections)
		return SOURCES_FULL;
	if (l->per_source != 0 && open_in(s, slot) > l->per_source)
		return SOURCES_TOO_MANY;
	if (is_too_fast(slot, l, now_us))
		return SOURCES_TOO_FAST;
	return SOURCES_OK;
}

enum sources_verdict
sources_enter(struct sources *s, const struct addr *a, uint32_t listener,
    const struct sources_limits *limits, uint64_t now_ms, uint32_t *ticket)
{
	uint64_t now_us = now_ms * 1000;
	uint32_t index;
	/* A window full of sources with open connections: as good as full. */
	if (!take(s, key_of(a), now_us, &index))
		return SOURCES_FULL;
	struct column *c = column_at(s, s->column);
	struct slot *slot = slot_at(s, index);
	/* Counted first and judged then: of two who come at once, both see
	 * each other, and none slips through between. */
	atomic_fetch_add(&c->total, 1);
	enum sources_verdict v = judge(s, slot, limits, now_us);
	if (v != SOURCES_OK) {
		atomic_fetch_sub(&c->total, 1);
		atomic_fetch_sub(&slot->open[s->column], 1);
		return v;
	}
	if (listener < SOURCES_LISTENERS_MAX)
		atomic_fetch_add(&c->listener[listener], 1);
	*ticket = index;
	return SOURCES_OK;
}

void
sources_leave(struct sources *s, uint32_t listener, uint32_t ticket)
{
	struct column *c = column_at(s, s->column);
	atomic_fetch_sub(&slot_at(s, ticket)->open[s->column], 1);
	atomic_fetch_sub(&c->total, 1);
	if (listener < SOURCES_LISTENERS_MAX)
		atomic_fetch_sub(&c->listener[listener], 1);
}

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
	return find(s, key_of(a), &index) ? open_in(s, slot_at(s, index)) : 0;
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
	for (uint32_t i = 0; i < NSLOTS; i++) {
		struct slot *slot = slot_at(s, i);
		if (atomic_load(&slot->open[column]) != 0)
			atomic_store(&slot->open[column], 0);
	}
}
