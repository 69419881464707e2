#include "fetch/policies.h"

#include <stdlib.h>

#include "fetch/discovery.h"
#include "fetch/policy_store.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/tree.h"
#include "lib/mail/path.h"

/* "_mta-sts." has to fit before it. */
enum { DOMAIN_MAX = 244, TTL_MAX_S = 86400 };

TAILQ_HEAD(policy_list, domain_policy);

struct domain_policy {
	RB_ENTRY(domain_policy) by_name;
	RB_ENTRY(domain_policy) by_due; /* with a policy */
	TAILQ_ENTRY(domain_policy) used;
	TAILQ_HEAD(, policy_wait) waiting;
	char *name;
	struct discovery *discovery; /* NULL: none runs */
	bool refreshes;              /* and it is for its own sake */
	uint64_t asked_ms;           /* the last question */
	uint64_t again_ms;           /* until then the answer is what is here */
	enum sts_fault fault;
	/* --- the policy --- */
	bool has;
	enum sts_mode mode;
	uint32_t max_age_s;
	char *id, *mxs;     /* owned */
	uint64_t fetched_s; /* since 1970 */
	uint64_t due_ms;    /* to be refreshed, or forgotten */
};

RB_HEAD(name_tree, domain_policy);
RB_HEAD(due_tree, domain_policy);

static struct loop *loop;
static struct name_tree names = RB_INITIALIZER(&names);
static struct due_tree dues = RB_INITIALIZER(&dues);
/* With and without a policy, the last used first. */
static struct policy_list with = TAILQ_HEAD_INITIALIZER(with);
static struct policy_list without = TAILQ_HEAD_INITIALIZER(without);
static size_t nwith, nwithout, nrefreshes;
static struct timer *due;

enum counts { QUESTIONS, FETCHES, FAILURES, REFRESHES, HELD, POLICIES, END };

static struct counter counts[] = {
	[QUESTIONS] = { "fetch.questions", 0 },
	[FETCHES] = { "fetch.fetches", 0 },
	[FAILURES] = { "fetch.failures", 0 },
	[REFRESHES] = { "fetch.refreshes", 0 },
	[HELD] = { "fetch.held", 0 },
	[POLICIES] = { "fetch.policies", 0 },
	[END] = { NULL, 0 },
};

static int
name_cmp(const struct domain_policy *a, const struct domain_policy *b)
{
	return str_cmp(str_of(a->name), str_of(b->name));
}

static int
due_cmp(const struct domain_policy *a, const struct domain_policy *b)
{
	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms ? -1 : 1;
	return name_cmp(a, b);
}

TREE_DEFINE(name_tree, domain_policy, by_name, name_cmp)
TREE_DEFINE(due_tree, domain_policy, by_due, due_cmp)

const struct counter *
policies_counters(void)
{
	counts[FETCHES].value = discovery_fetches();
	counts[FAILURES].value = discovery_failures();
	counts[POLICIES].value = nwith;
	return counts;
}

/* --- when --- */

static uint64_t
now_s(void)
{
	return clock_wall_ms() / 1000;
}

/* Seconds that are left of its policy; 0: there is none, or none any more. A
 * clock that was set back makes it no younger than new. */
static uint64_t
life_left(const struct domain_policy *d)
{
	uint64_t now = now_s();
	uint64_t age = now > d->fetched_s ? now - d->fetched_s : 0;

	return d->has && age < d->max_age_s ? d->max_age_s - age : 0;
}

static void
set_timer(void)
{
	const struct domain_policy *first = RB_MIN(due_tree, &dues);
	uint64_t now = loop_now_ms(loop);

	if (first == NULL || nrefreshes == POLICY_REFRESHES_MAX)
		timer_stop(due);
	else
		timer_set(due, first->due_ms > now ? first->due_ms - now : 0);
}

static void
unset_due(struct domain_policy *d)
{
	if (d->due_ms != 0)
		RB_REMOVE(due_tree, &dues, d);
	d->due_ms = 0;
}

static void
set_due(struct domain_policy *d, uint64_t in_s)
{
	unset_due(d);
	d->due_ms = loop_now_ms(loop) + in_s * 1000 + 1;
	RB_INSERT(due_tree, &dues, d);
	set_timer();
}

static bool
is_worth_refreshing(const struct domain_policy *d)
{
	return d->mode != STS_NONE &&
	       loop_now_ms(loop) - d->asked_ms < POLICY_USED_S * UINT64_C(1000);
}

/* How long after the fetch it is refreshed. */
static uint64_t
refresh_age(const struct domain_policy *d)
{
	uint64_t s = d->max_age_s / 2;

	if (s > POLICY_REFRESH_S)
		return POLICY_REFRESH_S;
	return s < POLICY_REFRESH_MIN_S ? POLICY_REFRESH_MIN_S : s;
}

/* Refresh, or the end, whichever is first. */
static void
plan(struct domain_policy *d)
{
	uint64_t left = life_left(d), age = d->max_age_s - left;
	uint64_t at = refresh_age(d);
	uint64_t in = at > age ? at - age : 0;

	set_due(d, is_worth_refreshing(d) && in < left ? in : left);
}

/* After one that failed. */
static void
plan_again(struct domain_policy *d)
{
	uint64_t left = life_left(d), in = left / 2;

	if (in < POLICY_REFRESH_MIN_S)
		in = POLICY_REFRESH_MIN_S;
	if (in > POLICY_RETRY_S)
		in = POLICY_RETRY_S;
	set_due(d, in < left ? in : left);
}

/* --- one domain --- */

static void
unlist(struct domain_policy *d)
{
	if (d->has) {
		TAILQ_REMOVE(&with, d, used);
		nwith--;
	} else {
		TAILQ_REMOVE(&without, d, used);
		nwithout--;
	}
}

static void
list(struct domain_policy *d)
{
	if (d->has) {
		TAILQ_INSERT_HEAD(&with, d, used);
		nwith++;
	} else {
		TAILQ_INSERT_HEAD(&without, d, used);
		nwithout++;
	}
}

static void
forget_policy(struct domain_policy *d)
{
	unlist(d);
	unset_due(d);
	free(d->id);
	free(d->mxs);
	d->id = d->mxs = NULL;
	d->has = false;
	list(d);
}

static void
end_discovery(struct domain_policy *d)
{
	d->discovery = NULL;
	if (d->refreshes)
		nrefreshes--;
	d->refreshes = false;
}

static void
drop(struct domain_policy *d)
{
	struct policy_wait *w;

	while ((w = TAILQ_FIRST(&d->waiting)) != NULL)
		policies_cancel(w);
	discovery_cancel(&d->discovery);
	end_discovery(d);
	forget_policy(d);
	unlist(d);
	RB_REMOVE(name_tree, &names, d);
	free(d->name);
	free(d);
}

/* Room for one more: the longest unused of which nothing runs. */
static void
evict(struct policy_list *l, size_t n)
{
	struct domain_policy *d;

	if (n <= POLICIES_MAX)
		return;
	TAILQ_FOREACH_REVERSE(d, l, policy_list, used)
	if (d->discovery == NULL) {
		if (d->has)
			policy_store_del(str_of(d->name));
		drop(d);
		return;
	}
}

static void
make_room(void)
{
	evict(&with, nwith);
	evict(&without, nwithout);
}

static struct domain_policy *
add(struct str name)
{
	struct domain_policy *d = xcalloc(1, sizeof(*d));

	d->name = str_dup(name);
	d->asked_ms = loop_now_ms(loop);
	TAILQ_INIT(&d->waiting);
	RB_INSERT(name_tree, &names, d);
	list(d);
	return d;
}

static struct domain_policy *
find(struct str name)
{
	char text[DOMAIN_MAX + 1];
	struct domain_policy key = { .name = text };

	for (size_t i = 0; i < name.len; i++)
		text[i] = name.p[i];
	text[name.len] = '\0';
	return RB_FIND(name_tree, &names, &key);
}

/* --- the answer --- */

static uint32_t
ttl_of(const struct domain_policy *d)
{
	uint64_t now = loop_now_ms(loop), left = life_left(d);
	uint64_t s = d->again_ms > now ? (d->again_ms - now + 999) / 1000 : 0;

	if (left > 0 && s > left)
		s = left;
	return s < TTL_MAX_S ? (uint32_t)s : TTL_MAX_S;
}

static struct answer_sts
answer_of(const struct domain_policy *d)
{
	struct answer_sts m = {
		.mode = STS_NONE, .fault = (uint8_t)d->fault, .ttl_s = ttl_of(d)
	};

	if (life_left(d) == 0)
		return m;
	m.mode = (uint8_t)d->mode;
	m.id = str_of(d->id);
	m.max_age_s = d->max_age_s;
	m.mxs = str_of(d->mxs);
	return m;
}

/* Whoever is called may ask again, and gets the same. */
static void
answer_all(struct domain_policy *d)
{
	struct answer_sts m = answer_of(d);
	struct policy_wait *w;

	while ((w = TAILQ_FIRST(&d->waiting)) != NULL) {
		TAILQ_REMOVE(&d->waiting, w, entry);
		w->domain = NULL;
		w->fn(w, &m);
	}
}

/* --- what was found --- */

static void
take(struct domain_policy *d, struct str id, const struct stored_policy *p)
{
	char *new_id = str_dup(id), *mxs = str_dup(p->mxs);

	forget_policy(d);
	unlist(d);
	d->has = true;
	d->mode = p->mode;
	d->max_age_s = p->max_age_s;
	d->id = new_id;
	d->mxs = mxs;
	d->fetched_s = p->fetched_s;
	list(d);
	plan(d);
}

/* One of mode `none' is known, but not worth a file. */
static void
on_new_policy(struct domain_policy *d, const struct discovered *found)
{
	struct stored_policy p = { .domain = str_of(d->name),
		.id = found->id,
		.fetched_s = now_s(),
		.max_age_s = found->policy->max_age_s,
		.mode = found->policy->mode,
		.mxs = buf_str(&found->policy->mxs) };

	d->fault = STS_NO_FAULT;
	take(d, found->id, &p);
	if (p.mode == STS_NONE || p.max_age_s == 0)
		policy_store_del(p.domain);
	else
		(void)policy_store_put(&p);
	log_info(NULL, "sts", "domain=%s mode=%s id=%s max-age=%u mx=%s",
	    log_cstr(d->name), sts_mode_name(d->mode), log_cstr(d->id),
	    d->max_age_s, log_cstr(d->mxs));
}

/* An administrator hears of a policy that cannot be refreshed (RFC 8461
 * 10.2). */
static void
on_failure(struct domain_policy *d, const struct discovered *found)
{
	static const char *const faults[] = { [STS_NO_FAULT] = "",
		[STS_FETCH_ERROR] = "sts-policy-fetch-error",
		[STS_INVALID] = "sts-policy-invalid",
		[STS_WEBPKI_INVALID] = "sts-webpki-invalid" };

	d->fault = found->fault;
	if (life_left(d) == 0) {
		log_info(NULL, "sts",
		    "domain=%s mode=none id=%s fault=%s why=%s",
		    log_cstr(d->name), log_str(found->id), faults[d->fault],
		    log_cstr(found->why));
		return;
	}
	counts[HELD].value++;
	log_warn(NULL, "sts",
	    "domain=%s mode=%s id=%s fault=%s why=%s left=%llus",
	    log_cstr(d->name), sts_mode_name(d->mode), log_cstr(d->id),
	    faults[d->fault], log_cstr(found->why),
	    (unsigned long long)life_left(d));
}

static uint32_t
patience_for(const struct discovered *found)
{
	switch (found->result) {
	case DISCOVERY_UNKNOWN:
		return POLICY_UNKNOWN_S;
	case DISCOVERY_FAILED:
		return POLICY_FAILED_S;
	case DISCOVERY_NOTHING:
	case DISCOVERY_SAME:
	case DISCOVERY_FOUND:
		break;
	}
	return found->ttl_s;
}

/* How long until the next question brings another look: no longer than the
 * policy lives, which may have ended while its record was looked at. */
static void
set_patience(struct domain_policy *d, const struct discovered *found)
{
	uint64_t s = patience_for(found), left = life_left(d);

	if (s > left && (left > 0 || found->result == DISCOVERY_SAME))
		s = left;
	d->again_ms = loop_now_ms(loop) + s * 1000;
}

static void
on_discovered(void *ctx, const struct discovered *found)
{
	struct domain_policy *d = ctx;
	bool refreshed = d->refreshes;

	end_discovery(d);
	if (found->result == DISCOVERY_FOUND)
		on_new_policy(d, found);
	else if (found->result == DISCOVERY_FAILED)
		on_failure(d, found);
	else
		d->fault = STS_NO_FAULT;
	set_patience(d, found);
	if (d->has && d->due_ms == 0 && refreshed)
		plan_again(d);
	set_timer();
	answer_all(d);
	make_room();
}

static void
discover(struct domain_policy *d, bool anyway)
{
	struct str id = life_left(d) > 0 ? str_of(d->id) : (struct str){ 0 };

	d->discovery =
	    discovery_start(str_of(d->name), id, anyway, on_discovered, d);
}

/* --- ahead of time --- */

static void
on_due_one(struct domain_policy *d)
{
	unset_due(d);
	if (life_left(d) == 0) {
		policy_store_del(str_of(d->name));
		forget_policy(d);
	} else if (!is_worth_refreshing(d) || d->discovery != NULL) {
		plan_again(d);
	} else {
		counts[REFRESHES].value++;
		d->refreshes = true;
		nrefreshes++;
		discover(d, true);
	}
}

static void
on_due(void *ctx)
{
	uint64_t now = loop_now_ms(loop);
	struct domain_policy *d;

	(void)ctx;
	while ((d = RB_MIN(due_tree, &dues)) != NULL && d->due_ms <= now &&
	       nrefreshes < POLICY_REFRESHES_MAX)
		on_due_one(d);
	set_timer();
}

/* --- what is asked of us --- */

bool
policies_get(struct str domain, struct policy_wait *w, struct answer_sts *m)
{
	struct domain_policy *d;

	counts[QUESTIONS].value++;
	w->domain = NULL;
	if (domain.len > DOMAIN_MAX || !path_is_domain(domain, false)) {
		*m =
		    (struct answer_sts){ .mode = STS_NONE, .ttl_s = TTL_MAX_S };
		return true;
	}
	d = find(domain);
	if (d == NULL)
		d = add(domain);
	d->asked_ms = loop_now_ms(loop);
	unlist(d);
	list(d);
	if (d->again_ms > loop_now_ms(loop)) {
		*m = answer_of(d);
		return true;
	}
	if (d->discovery == NULL)
		discover(d, false);
	TAILQ_INSERT_TAIL(&d->waiting, w, entry);
	w->domain = d;
	return false;
}

/* What was begun goes on: it will be asked for again. */
void
policies_cancel(struct policy_wait *w)
{
	if (w->domain != NULL)
		TAILQ_REMOVE(&w->domain->waiting, w, entry);
	w->domain = NULL;
}

/* --- the beginning --- */

static void
on_stored(void *ctx, const struct stored_policy *p)
{
	(void)ctx;
	if (p->domain.len > DOMAIN_MAX || find(p->domain) != NULL)
		return;
	take(add(p->domain), p->id, p);
	make_room();
}

void
policies_load(void)
{
	policy_store_load(on_stored, NULL);
	log_debug(NULL, "sts", "policies=%zu", nwith);
}

void
policies_init(struct loop *l)
{
	loop = l;
	due = timer_new(l, on_due, NULL);
}

void
policies_clear(void)
{
	struct domain_policy *d;

	while ((d = RB_MIN(name_tree, &names)) != NULL)
		drop(d);
	timer_free(&due);
}
