/* Counting messages at filters, and who is known. */
#include "smtpd/admission.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/tree.h"
#include "smtpd/stats.h"

enum {
	RESERVE_PART = 4, /* the reserve: one quarter more */
	FLOOR_PART = 10,  /* the capacity never falls below one tenth */
	SMOOTH_PART = 8,  /* weight of the newest answer */
	SHRINK_NUM = 3,   /* each step down: to three quarters */
	SHRINK_DEN = 4,
	SAY_MS = 60000,  /* between two words to the log */
	KNOWN_MAX = 4096 /* sources remembered */
};

static uint64_t
at_least(uint64_t n, uint64_t least)
{
	return n > least ? n : least;
}

static void
show(const struct admission *a)
{
	stats_set(STAT_FILTERING, a->now);
	stats_set(STAT_FILTERING_CAPACITY, a->capacity);
}

void
admission_set(struct admission *a, uint64_t most, uint64_t slow_ms)
{
	bool at_most = a->capacity == a->most;

	a->most = at_least(most, 1);
	a->least = at_least(a->most / FLOOR_PART, 1);
	a->slow_us = slow_ms * 1000;
	if (at_most || a->capacity > a->most)
		a->capacity = a->most;
	a->capacity = at_least(a->capacity, a->least);
	show(a);
}

bool
admission_has_room(const struct admission *a, bool reserve)
{
	uint64_t room = a->capacity;

	if (reserve)
		room += at_least(a->capacity / RESERVE_PART, 1);
	return a->now < room;
}

void
admission_refused(struct admission *a, uint64_t now_ms)
{
	stats_add(STAT_FILTERING_REFUSED, 1);
	a->nrefused++;
	if (a->full)
		return;
	a->full = true;
	if (a->said_ms != 0 && now_ms - a->said_ms < SAY_MS)
		return;
	a->said = true;
	a->said_ms = now_ms;
	log_warn(NULL, "filtering-full", "messages=%llu capacity=%llu ms=%llu",
	    (unsigned long long)a->now, (unsigned long long)a->capacity,
	    (unsigned long long)(a->smoothed_us / 1000));
}

/* There is room for newcomers again. */
static void
no_more_full(struct admission *a)
{
	if (!a->full)
		return;
	a->full = false;
	if (!a->said)
		return;
	a->said = false;
	log_info(NULL, "filtering-room",
	    "messages=%llu capacity=%llu ms=%llu refused=%llu",
	    (unsigned long long)a->now, (unsigned long long)a->capacity,
	    (unsigned long long)(a->smoothed_us / 1000),
	    (unsigned long long)a->nrefused);
	a->nrefused = 0;
}

int
admission_enter(struct admission *a, bool reserve, uint64_t now_ms)
{
	if (!admission_has_room(a, reserve)) {
		admission_refused(a, now_ms);
		return -1;
	}
	a->now++;
	show(a);
	return 0;
}

void
admission_leave(struct admission *a)
{
	a->now--;
	if (admission_has_room(a, false))
		no_more_full(a);
	show(a);
}

void
admission_took(struct admission *a, uint64_t us, uint64_t now_ms)
{
	if (a->smoothed_us == 0)
		a->smoothed_us = us;
	else
		a->smoothed_us = a->smoothed_us - a->smoothed_us / SMOOTH_PART +
				 us / SMOOTH_PART;
	if (a->smoothed_us > a->slow_us) {
		/* What was let in before the last step has to come to its end
		 * before it shows whether that was enough. */
		if (a->shrunk_ms == 0 ||
		    now_ms - a->shrunk_ms >= a->slow_us / 1000) {
			a->shrunk_ms = now_ms;
			a->capacity = at_least(
			    a->capacity * SHRINK_NUM / SHRINK_DEN, a->least);
		}
	} else if (us <= a->slow_us && a->capacity < a->most)
		a->capacity++;
	show(a);
}

/* --- who is known --- */

struct source {
	RB_ENTRY(source) node;
	TAILQ_ENTRY(source) entry;
	uint64_t key;
	uint8_t family;
};

static int
source_cmp(struct source *a, struct source *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return 0;
}

static RB_HEAD(sources_known, source) known = RB_INITIALIZER(&known);
TREE_DEFINE(sources_known, source, node, source_cmp)
static TAILQ_HEAD(sources_used, source) used =
    TAILQ_HEAD_INITIALIZER(used); /* last first */
static size_t nknown;

static struct source *
find_source(const struct addr *a)
{
	struct source like = { .key = addr_source_key(a), .family = a->family };

	return RB_FIND(sources_known, &known, &like);
}

static bool
is_inner(const struct addr *a)
{
	return a->family == ADDR_LOCAL || addr_is_loopback(a);
}

static void
forget(struct source *s)
{
	RB_REMOVE(sources_known, &known, s);
	TAILQ_REMOVE(&used, s, entry);
	nknown--;
	free(s);
}

void
admission_remember(const struct addr *source)
{
	struct source *s = find_source(source);

	if (is_inner(source))
		return;
	if (s != NULL) {
		TAILQ_REMOVE(&used, s, entry);
		TAILQ_INSERT_HEAD(&used, s, entry);
		return;
	}
	if (nknown == KNOWN_MAX)
		forget(TAILQ_LAST(&used, sources_used));
	s = xcalloc(1, sizeof(*s));
	s->key = addr_source_key(source);
	s->family = source->family;
	RB_INSERT(sources_known, &known, s);
	TAILQ_INSERT_HEAD(&used, s, entry);
	nknown++;
}

bool
admission_is_known(const struct addr *source)
{
	return is_inner(source) || find_source(source) != NULL;
}

/* --- of this process --- */

static struct admission here;

struct admission *
admission(void)
{
	return &here;
}

void
admission_set_config(const struct config *c)
{
	uint64_t workers = c->smtpd_workers > 0 ? c->smtpd_workers : 1;

	admission_set(
	    &here, c->limits.filtering / workers, c->limits.filtering_time);
}

void
admission_clear(void)
{
	struct source *s, *next;

	TAILQ_FOREACH_SAFE(s, &used, entry, next)
		forget(s);
	memset(&here, 0, sizeof(here));
}
