/*
 * A question's way: cache, a job under way for the same, or a job of its own,
 * which tries servers until one has an answer or time is up, and asks on when
 * the answer is a CNAME that leads elsewhere.
 */
#include "resolver/query.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/tree.h"
#include "resolver/answer.h"
#include "resolver/cache.h"
#include "resolver/cares.h"
#include "resolver/upstream.h"

enum {
	ROUNDS = 2, /* each server is tried as often */
	CHASES_MAX = 8,
	JOBS_MAX = 4096, /* of each share */
	WAITS_MAX = 65536,
	CACHE_ENTRIES = 100000,
	CACHE_BYTES = 16 << 20,
	TRIES_MAX = ROUNDS * CONFIG_SERVERS_MAX
};

/* Who is asked for. */
enum share { FOR_ROUTES, FOR_CLIENTS, FOR_LISTS, FOR_POLICIES, SHARES };

enum counts {
	QUERIES,
	CACHE_HITS,
	COALESCED,
	FAULTS,
	TIMEOUTS,
	BUSY,
	PENDING,
	CACHE_SIZE,
	COUNTS
};

static struct counter counters[COUNTS + 1] = {
	[QUERIES] = { "resolver.queries", 0 },
	[CACHE_HITS] = { "resolver.cache_hits", 0 },
	[COALESCED] = { "resolver.coalesced", 0 },
	[FAULTS] = { "resolver.faults", 0 },
	[TIMEOUTS] = { "resolver.timeouts", 0 },
	[BUSY] = { "resolver.busy", 0 },
	[PENDING] = { "resolver.pending", 0 },
	[CACHE_SIZE] = { "resolver.cache_entries", 0 },
};

TAILQ_HEAD(waits, query_wait);

struct query_wait {
	TAILQ_ENTRY(query_wait) next;
	struct waits *in;          /* of its job, or those to be told */
	struct dns_answer *answer; /* a reference; when it is to be told */
	enum share share;
	bool trusted;
	query_fn *fn;
	void *ctx;
};

struct job {
	RB_ENTRY(job) by_name;
	TAILQ_ENTRY(job) next;
	bool listed;      /* others may join */
	bool trusted;     /* only servers whose AD bit is believed */
	enum share share; /* of the first who asked */
	struct waits waits;
	struct upstreams *servers; /* a reference */
	uint8_t tries[TRIES_MAX];  /* indexes of servers */
	size_t ntries, ntried;
	uint64_t deadline_ms, sent_ms;
	struct cares_ask *ask;
	struct deferred start;
	/* What is asked now: name at first, then where CNAMEs led. */
	char *target;
	unsigned int nchases;
	uint32_t ttl_s; /* the shortest on the way there */
	bool ad, all_trusted;
	enum dns_type type;
	struct str name; /* lower case */
	char *text;      /* its bytes */
};

RB_HEAD(jobs, job);
TAILQ_HEAD(all_jobs, job);

static struct {
	struct loop *loop;
	struct cache *cache;
	struct upstreams *servers; /* the present ones */
	struct jobs jobs;          /* those that can be joined */
	struct all_jobs all;
	struct waits ready; /* their answers are there */
	struct deferred tell;
	size_t njobs[SHARES], nwaits[SHARES];
} q;

static int
cmp_job(const struct job *a, const struct job *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->trusted != b->trusted)
		return a->trusted ? 1 : -1;
	return str_cmp(a->name, b->name);
}

TREE_DEFINE(jobs, job, by_name, cmp_job)

static void try_next(struct job *j, const char *why);

/* --- who waits --- */

static void
move(struct query_wait *w, struct waits *to)
{
	if (w->in != NULL)
		TAILQ_REMOVE(w->in, w, next);
	TAILQ_INSERT_TAIL(to, w, next);
	w->in = to;
}

static void
set_ready(struct query_wait *w, struct dns_answer *a)
{
	w->answer = dns_answer_ref(a);
	move(w, &q.ready);
	loop_after(q.loop, &q.tell);
}

static void
wait_free(struct query_wait *w)
{
	TAILQ_REMOVE(w->in, w, next);
	dns_answer_unref(&w->answer);
	q.nwaits[w->share]--;
	free(w);
}

/* Whoever is told may ask anew, and cancel others. */
static void
tell_ready(void *unused)
{
	struct query_wait *w;

	(void)unused;
	while ((w = TAILQ_FIRST(&q.ready)) != NULL) {
		struct dns_answer *a = dns_answer_ref(w->answer);
		query_fn *fn = w->fn;
		void *ctx = w->ctx;

		wait_free(w);
		fn(ctx, a);
		dns_answer_unref(&a);
	}
}

void
query_cancel(struct query_wait **w)
{
	if (*w == NULL)
		return;
	wait_free(*w);
	*w = NULL;
}

/* --- jobs --- */

static void
plan_tries(struct job *j)
{
	size_t all = upstreams_plan(j->servers, loop_now_ms(q.loop), j->tries);
	size_t n = 0;

	for (size_t i = 0; i < all; i++)
		if (!j->trusted || j->servers->all[j->tries[i]].server.trust_ad)
			j->tries[n++] = j->tries[i];
	memcpy(j->tries + n, j->tries, n);
	j->ntries = ROUNDS * n;
	j->ntried = 0;
}

static void
unlist(struct job *j)
{
	if (j->listed)
		RB_REMOVE(jobs, &q.jobs, j);
	j->listed = false;
}

static void
job_free(struct job *j)
{
	struct query_wait *w;

	while ((w = TAILQ_FIRST(&j->waits)) != NULL)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): w is another */
		wait_free(w);
	unlist(j);
	TAILQ_REMOVE(&q.all, j, next);
	cares_cancel(&j->ask);
	loop_after_cancel(q.loop, &j->start);
	upstreams_unref(&j->servers);
	free(j->target);
	free(j->text);
	q.njobs[j->share]--;
	free(j);
}

/* Takes the reference. */
static void
job_end(struct job *j, struct dns_answer *a)
{
	struct query_wait *w;

	if (a->status == DNS_FAULT) {
		counters[FAULTS].value++;
		a->trusted = j->trusted;
	}
	/* Not what was learned from servers that are ours no more. */
	if (j->listed)
		cache_put(q.cache, j->name, j->type, a, loop_now_ms(q.loop));
	while ((w = TAILQ_FIRST(&j->waits)) != NULL)
		set_ready(w, a);
	dns_answer_unref(&a);
	job_free(j);
}

/* With what the way to it says: an answer holds no longer than the CNAMEs
 * that lead to it. Takes the reference. */
static void
job_answer(struct job *j, struct dns_answer *a)
{
	if (j->nchases > 0) {
		struct dns_answer end = *a, *copy;

		end.ad &= j->ad;
		end.trusted &= j->all_trusted;
		if (end.ttl_s > j->ttl_s)
			end.ttl_s = j->ttl_s;
		if (end.canonical.len == 0)
			end.canonical = str_of(j->target);
		copy = dns_answer_copy(&end, 0);
		dns_answer_unref(&a);
		a = copy;
	}
	job_end(j, a);
}

/* What is in the cache and may be used; a new reference. */
static struct dns_answer *
cached(struct str name, enum dns_type type, bool trusted)
{
	struct dns_answer *a =
	    cache_get(q.cache, name, type, loop_now_ms(q.loop));

	if (a != NULL && trusted && !a->trusted)
		dns_answer_unref(&a);
	return a;
}

/* On with the name that the answer led to. */
static void
chase(struct job *j, const struct answer_chase *c)
{
	struct str target = str_of(c->target);

	if (++j->nchases > CHASES_MAX) {
		job_end(j, dns_answer_fault("loop"));
		return;
	}
	if (!answer_name_is_askable(target)) {
		job_end(j, dns_answer_fault("malformed"));
		return;
	}
	if (c->ttl_s < j->ttl_s)
		j->ttl_s = c->ttl_s;
	j->ad &= c->ad;
	j->all_trusted &= c->trusted;
	free(j->target);
	j->target = str_dup(target);
	struct dns_answer *a = cached(target, j->type, j->trusted);
	if (a != NULL && j->listed && a->status != DNS_FAULT) {
		job_answer(j, a);
		return;
	}
	dns_answer_unref(&a);
	plan_tries(j);
	try_next(j, "timeout");
}

static void
log_try(const struct job *j, const struct server *s, const char *rcode)
{
	char text[SERVER_TEXT_MAX];

	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	log_debug(NULL, "dns",
	    "name=%s type=%s rcode=%s server=%s ms=%llu attempt=%zu",
	    log_cstr(j->target), dns_type_name(j->type), rcode,
	    log_cstr(server_format(s, text)),
	    (unsigned long long)(loop_now_ms(q.loop) - j->sent_ms), j->ntried);
}

/* Failures of the way to the server, not of what it says. */
static void
no_packet(struct job *j, struct upstream *u, const char *why)
{
	log_try(j, &u->server, why);
	if (strcmp(why, "busy") == 0) {
		counters[BUSY].value++;
	} else {
		counters[TIMEOUTS].value += strcmp(why, "timeout") == 0;
		upstream_failed(u, why, loop_now_ms(q.loop));
	}
	try_next(j, why);
}

static void
on_packet(void *ctx, const char *why, struct str packet)
{
	struct job *j = ctx;
	struct upstream *u = &j->servers->all[j->tries[j->ntried - 1]];
	struct answer_chase c;

	j->ask = NULL;
	if (why != NULL) {
		no_packet(j, u, why);
		return;
	}
	upstream_answered(u);
	struct dns_answer *a = answer_parse(
	    packet, str_of(j->target), j->type, u->server.trust_ad, &c);
	log_try(j, &u->server, dns_status_text(a));
	if (c.target[0] != '\0') {
		dns_answer_unref(&a);
		chase(j, &c);
	} else if (a->status == DNS_FAULT) {
		why = a->why;
		dns_answer_unref(&a);
		try_next(j, why);
	} else {
		job_answer(j, a);
	}
}

/* why: what to say when there is no next one. */
static void
try_next(struct job *j, const char *why)
{
	uint64_t now_ms = loop_now_ms(q.loop);

	if (j->ntried == j->ntries || now_ms >= j->deadline_ms) {
		job_end(j, dns_answer_fault(why));
		return;
	}
	struct server s = j->servers->all[j->tries[j->ntried++]].server;
	if (s.timeout_ms > j->deadline_ms - now_ms)
		s.timeout_ms = j->deadline_ms - now_ms;
	j->sent_ms = now_ms;
	counters[QUERIES].value++;
	j->ask = cares_ask(&s, j->target, j->type, on_packet, j);
	if (j->ask == NULL) /* a name that must not leave the house */
		job_end(j, dns_answer_copy(
			       &(struct dns_answer){ .status = DNS_NXDOMAIN,
				   .ttl_s = DNS_TTL_MAX },
			       0));
}

static void
job_start(void *ctx)
{
	struct job *j = ctx;

	plan_tries(j);
	try_next(j, "no-server");
}

static struct job *
job_new(struct str name, enum dns_type type, const struct query_wait *w)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->type = type;
	j->share = w->share;
	j->trusted = w->trusted;
	j->name = (struct str){ j->text = str_dup(name), name.len };
	j->target = xstrdup(j->text);
	j->ttl_s = DNS_TTL_MAX;
	j->ad = j->all_trusted = true;
	j->servers = q.servers;
	j->servers->refs++;
	j->deadline_ms = loop_now_ms(q.loop) + QUERY_TOTAL_MS;
	TAILQ_INIT(&j->waits);
	deferred_init(&j->start, job_start, j);
	j->listed = true;
	RB_INSERT(jobs, &q.jobs, j);
	TAILQ_INSERT_TAIL(&q.all, j, next);
	q.njobs[j->share]++;
	loop_after(q.loop, &j->start);
	return j;
}

static struct job *
job_find(struct str name, enum dns_type type, bool trusted)
{
	struct job key = { .type = type, .trusted = trusted, .name = name };

	return RB_FIND(jobs, &q.jobs, &key);
}

/* --- asking --- */

/* The answer that needs nobody; NULL: somebody has to be asked. */
static struct dns_answer *
answer_now(struct str name, enum dns_type type, bool trusted)
{
	if (!answer_name_is_askable(name))
		return dns_answer_copy(
		    &(struct dns_answer){
			.status = DNS_NXDOMAIN, .ttl_s = DNS_TTL_MAX },
		    0);
	struct dns_answer *a = cached(name, type, trusted);
	counters[CACHE_HITS].value += a != NULL;
	return a;
}

static void
ask(struct query_wait *w, struct str name, enum dns_type type)
{
	struct dns_answer *a = q.nwaits[w->share] > WAITS_MAX ?
				   dns_answer_fault("busy") :
				   answer_now(name, type, w->trusted);
	struct job *j = NULL;

	if (a == NULL) {
		j = job_find(name, type, w->trusted);
		counters[COALESCED].value += j != NULL;
		if (j == NULL && q.njobs[w->share] < JOBS_MAX)
			j = job_new(name, type, w);
		if (j == NULL)
			a = dns_answer_fault("busy");
	}
	if (j != NULL) {
		move(w, &j->waits);
		return;
	}
	set_ready(w, a);
	dns_answer_unref(&a);
}

static struct query_wait *
ask_for(const struct query_wait *like, struct str name, enum dns_type type)
{
	struct query_wait *w = xmalloc(sizeof(*w));
	char lower[256];

	*w = *like;
	q.nwaits[w->share]++;
	/* A longer one is no name, whatever it is cut to. */
	name = str_head(name, sizeof(lower));
	for (size_t i = 0; i < name.len; i++)
		lower[i] = chr_lower(name.p[i]);
	ask(w, (struct str){ lower, name.len }, type);
	return w;
}

struct query_wait *
query_ask(struct str name, enum dns_type type, query_fn *fn, void *ctx)
{
	return ask_for(
	    &(struct query_wait){ .share = FOR_ROUTES, .fn = fn, .ctx = ctx },
	    name, type);
}

struct query_wait *
query_ask_trusted(struct str name, enum dns_type type, query_fn *fn, void *ctx)
{
	return ask_for(
	    &(struct query_wait){
		.share = FOR_ROUTES, .trusted = true, .fn = fn, .ctx = ctx },
	    name, type);
}

struct query_wait *
query_ask_for_policy(
    struct str name, enum dns_type type, query_fn *fn, void *ctx)
{
	return ask_for(
	    &(struct query_wait){ .share = FOR_POLICIES, .fn = fn, .ctx = ctx },
	    name, type);
}

struct query_wait *
query_ask_for_client(
    struct str name, enum dns_type type, query_fn *fn, void *ctx)
{
	return ask_for(
	    &(struct query_wait){ .share = FOR_CLIENTS, .fn = fn, .ctx = ctx },
	    name, type);
}

struct query_wait *
query_ask_for_list(struct str name, enum dns_type type, query_fn *fn, void *ctx)
{
	return ask_for(
	    &(struct query_wait){ .share = FOR_LISTS, .fn = fn, .ctx = ctx },
	    name, type);
}

void
query_set_servers(const struct server *servers, size_t n)
{
	struct job *j;

	if (upstreams_are(q.servers, servers, n))
		return;
	upstreams_unref(&q.servers);
	q.servers = upstreams_new(servers, n);
	cache_clear(q.cache);
	TAILQ_FOREACH(j, &q.all, next)
		unlist(j);
}

void
query_init(struct loop *l)
{
	cares_init(l);
	q.loop = l;
	q.cache = cache_new(CACHE_ENTRIES, CACHE_BYTES);
	q.servers = upstreams_new(NULL, 0);
	RB_INIT(&q.jobs);
	TAILQ_INIT(&q.all);
	TAILQ_INIT(&q.ready);
	deferred_init(&q.tell, tell_ready, NULL);
}

void
query_clear(void)
{
	struct query_wait *w;
	struct job *j;

	while ((j = TAILQ_FIRST(&q.all)) != NULL)
		job_free(j);
	while ((w = TAILQ_FIRST(&q.ready)) != NULL)
		wait_free(w);
	loop_after_cancel(q.loop, &q.tell);
	cache_free(&q.cache);
	upstreams_unref(&q.servers);
	cares_clear();
}

const struct counter *
query_counters(void)
{
	counters[PENDING].value = 0;
	for (size_t i = 0; i < SHARES; i++)
		counters[PENDING].value += q.njobs[i];
	counters[CACHE_SIZE].value = cache_entries(q.cache);
	return counters;
}
