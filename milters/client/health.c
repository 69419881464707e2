/*
 * What is known of each filter. A socket that failed `failures' times in a
 * row rests; when its rest is over one session at a time is sent to probe it,
 * and the first good answer has it up again. Its failures are forgotten only
 * behind a whole message: a filter that answers the phone and breaks down at
 * every mail comes to rest, too.
 */
#include "milters/client/health.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/latency.h"
#include "lib/base/log.h"

/* A socket, by its text: that stays the same over reloads. */
struct place {
	TAILQ_ENTRY(place) entry;
	char *text;
	uint32_t sessions;
	uint32_t row; /* failures without a whole message between */
	bool down;
	uint64_t until_ms;        /* down: it rests until then */
	const struct hold *probe; /* down: who tries it now; NULL: nobody */
	uint64_t failures;
	char *fault; /* the last; NULL: none */
};

struct health {
	TAILQ_ENTRY(health) entry;
	char *name;
	TAILQ_HEAD(, place) places;
	uint32_t sessions;
	uint32_t turn;               /* which socket is looked at first */
	struct milter_report report; /* its counters and numbers alone */
};

struct hold {
	struct health *health;
	const struct milter *milter;
	struct place *place;
	uint32_t socket;
	uint32_t tried; /* bit for each socket */
};

const char health_full[] = "all its connections are in use";

_Static_assert((int)MILTER_LATENCY_BUCKETS == (int)LATENCY_BUCKETS,
    "one histogram everywhere");

static TAILQ_HEAD(, health) all = TAILQ_HEAD_INITIALIZER(all);
static uint32_t shares = 1;

/* --- who is known --- */

static struct health *
find(const char *name)
{
	struct health *h;

	TAILQ_FOREACH(h, &all, entry) {
		if (strcmp(h->name, name) == 0)
			return h;
	}
	return NULL;
}

struct health *
health_find(const struct milter *m)
{
	struct health *h = find(m->name);

	if (h != NULL)
		return h;
	h = xcalloc(1, sizeof(*h));
	h->name = xstrdup(m->name);
	TAILQ_INIT(&h->places);
	TAILQ_INSERT_TAIL(&all, h, entry);
	return h;
}

static struct place *
find_place(const struct health *h, const char *text)
{
	struct place *p;

	TAILQ_FOREACH(p, &h->places, entry) {
		if (strcmp(p->text, text) == 0)
			return p;
	}
	return NULL;
}

static struct place *
get_place(struct health *h, const char *text)
{
	struct place *p = find_place(h, text);

	if (p != NULL)
		return p;
	p = xcalloc(1, sizeof(*p));
	p->text = xstrdup(text);
	TAILQ_INSERT_TAIL(&h->places, p, entry);
	return p;
}

static void
free_place(struct place *p)
{
	free(p->text);
	free(p->fault);
	free(p);
}

static void
del_health(struct health *h)
{
	struct place *p;

	while ((p = TAILQ_FIRST(&h->places)) != NULL) {
		TAILQ_REMOVE(&h->places, p, entry);
		free_place(p);
	}
	TAILQ_REMOVE(&all, h, entry);
	free(h->name);
	free(h);
}

static bool
has_socket(const struct milter *m, const char *text)
{
	for (size_t i = 0; m != NULL && i < m->nsockets; i++) {
		if (strcmp(m->sockets[i].text, text) == 0)
			return true;
	}
	return false;
}

/* Those that m (NULL: nobody) does not have any more. */
static void
forget_places(struct health *h, const struct milter *m)
{
	struct place *p, *next;

	for (p = TAILQ_FIRST(&h->places); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		if (p->sessions > 0 || has_socket(m, p->text))
			continue;
		TAILQ_REMOVE(&h->places, p, entry);
		free_place(p);
	}
}

void
health_set_config(const struct config *c, uint32_t share)
{
	struct health *h, *next;

	shares = share > 0 ? share : 1;
	for (h = TAILQ_FIRST(&all); h != NULL; h = next) {
		const struct milter *m = config_find_milter(c, str_of(h->name));
		next = TAILQ_NEXT(h, entry);
		forget_places(h, m);
		if (m == NULL && h->sessions == 0)
			del_health(h);
	}
	for (size_t i = 0; i < c->nmilters; i++)
		health_find(&c->milters[i]);
}

void
health_clear(void)
{
	struct health *h, *next;

	for (h = TAILQ_FIRST(&all); h != NULL; h = next) {
		next = TAILQ_NEXT(h, entry);
		if (h->sessions == 0)
			del_health(h);
	}
	shares = 1;
}

/* --- connections --- */

static enum milter_state
place_state(const struct place *p)
{
	if (p == NULL || !p->down)
		return MILTER_UP;
	return clock_mono_ms() < p->until_ms ? MILTER_RESTING : MILTER_PROBING;
}

static uint32_t
limit_of(const struct milter *m)
{
	uint32_t n = m->connections / shares;

	return n > 0 ? n : 1;
}

/* The socket to try: one that waits to be probed, else of those that are up
 * the one with the fewest sessions. -1: none. */
static int
choose(struct health *h, const struct milter *m, uint32_t tried)
{
	uint32_t least = UINT32_MAX;
	int best = -1;

	for (size_t i = 0; i < m->nsockets; i++) {
		size_t n = (h->turn + i) % m->nsockets;
		const struct place *p = get_place(h, m->sockets[n].text);
		enum milter_state state = place_state(p);
		if ((tried & 1U << n) != 0)
			continue;
		if (state == MILTER_PROBING && p->probe == NULL)
			return (int)n;
		if (state == MILTER_UP && p->sessions < least) {
			least = p->sessions;
			best = (int)n;
		}
	}
	return best;
}

static void
take(struct hold *h, int socket)
{
	struct place *p = get_place(h->health, h->milter->sockets[socket].text);

	h->socket = (uint32_t)socket;
	h->tried |= 1U << socket;
	h->place = p;
	p->sessions++;
	if (p->down)
		p->probe = h;
	h->health->turn = (uint32_t)socket + 1;
}

static void
leave(struct hold *h)
{
	h->place->sessions--;
	if (h->place->probe == h)
		h->place->probe = NULL;
}

struct hold *
health_hold(struct health *h, const struct milter *m, const char **why)
{
	struct hold *hold;
	int socket;

	if (h->sessions >= limit_of(m)) {
		*why = health_full;
		return NULL;
	}
	socket = choose(h, m, 0);
	if (socket < 0) {
		h->report.skipped++;
		*why = "it rests after failures";
		return NULL;
	}
	hold = xcalloc(1, sizeof(*hold));
	hold->health = h;
	hold->milter = m;
	h->sessions++;
	h->report.connections++;
	take(hold, socket);
	return hold;
}

bool
health_next(struct hold *h)
{
	int socket = choose(h->health, h->milter, h->tried);

	if (socket < 0)
		return false;
	leave(h);
	h->health->report.connections++;
	take(h, socket);
	return true;
}

uint32_t
hold_socket(const struct hold *h)
{
	return h->socket;
}

void
health_release(struct hold **p)
{
	struct hold *h = *p;

	if (h == NULL)
		return;
	*p = NULL;
	leave(h);
	h->health->sessions--;
	free(h);
}

bool
health_has_room(const struct milter *m, bool reserve)
{
	const struct health *h = health_find(m);
	uint32_t limit = limit_of(m), kept = 0;

	if (!reserve && limit > 1)
		kept = limit / 10 > 0 ? limit / 10 : 1;
	return h->sessions < limit - kept;
}

/* --- how it goes --- */

void
health_good(struct hold *h, uint32_t version, uint32_t actions, uint32_t steps)
{
	struct milter_report *r = &h->health->report;
	struct place *p = h->place;

	r->version = version;
	r->actions = actions;
	r->steps = steps;
	if (!p->down || p->probe != h)
		return;
	p->down = false;
	p->probe = NULL;
	log_info(NULL, "milter-up", "milter=%s socket=%s",
	    log_cstr(h->health->name), log_cstr(p->text));
}

void
health_proved(struct hold *h)
{
	h->place->row = 0;
}

void
health_bad(struct hold *h, const char *fault)
{
	const struct milter *m = h->milter;
	struct place *p = h->place;

	h->health->report.failures++;
	p->failures++;
	if (p->row < UINT32_MAX)
		p->row++;
	free(p->fault);
	p->fault = xstrdup(fault);
	/* Who rests is judged by who probes it alone. */
	if (p->down ? p->probe != h : p->row < m->failures)
		return;
	if (!p->down)
		log_warn(NULL, "milter-rests",
		    "milter=%s socket=%s failures=%u rest_ms=%llu fault=%s",
		    log_cstr(m->name), log_cstr(p->text), p->row,
		    (unsigned long long)m->rest, log_cstr(fault));
	p->down = true;
	p->until_ms = clock_mono_ms() + m->rest;
}

void
health_took(struct health *h, enum milter_stage stage, uint64_t us)
{
	h->report.latency[stage].n[latency_bucket(us)]++;
}

void
health_verdict(struct health *h, enum milter_verdict v)
{
	h->report.verdicts[v]++;
}

void
health_edits(struct health *h, size_t n)
{
	h->report.edits += n;
}

void
health_compared(struct health *h, bool differs)
{
	h->report.compared++;
	if (differs)
		h->report.differed++;
}

/* One socket that is up is enough. */
void
health_report(const struct milter *m, struct milter_report *r)
{
	const struct health *h = health_find(m);
	bool up = m->nsockets == 0, probing = false;

	*r = h->report;
	r->milter = m;
	r->sessions = h->sessions;
	r->nsockets = m->nsockets;
	for (size_t i = 0; i < m->nsockets; i++) {
		const struct place *p = find_place(h, m->sockets[i].text);
		struct milter_socket_report *s = &r->sockets[i];
		s->text = m->sockets[i].text;
		s->state = place_state(p);
		s->sessions = p != NULL ? p->sessions : 0;
		s->failures = p != NULL ? p->failures : 0;
		s->fault = p != NULL ? p->fault : NULL;
		up = up || s->state == MILTER_UP;
		probing = probing || s->state == MILTER_PROBING;
	}
	r->state = up ? MILTER_UP : probing ? MILTER_PROBING : MILTER_RESTING;
}
