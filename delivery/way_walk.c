#include "delivery/way_walk.h"

#include <stdlib.h>
#include <string.h>

#include "delivery/bind_addr.h"
#include "delivery/result.h"
#include "delivery/tls_tally.h"
#include "lib/base/alloc.h"
#include "lib/mail/path.h"

static struct loop *loop;
static void (*resume)(struct work *w);

void
walk_init(struct loop *l, void (*go_on)(struct work *w))
{
	loop = l;
	resume = go_on;
}

/* Of the present URL. */
static void
close_url(struct walk *k)
{
	sts_cancel(&k->sts_wait);
	sts_unref(&k->sts);
	routes_cancel(&k->wait);
	route_unref(&k->route);
	k->at = k->norder = 0;
	k->step = STEP_URL;
}

void
walk_clear(struct walk *k)
{
	close_url(k);
	policy_unref(&k->policy);
	for (size_t i = 0; i < k->nlater; i++) {
		policy_unref(&k->later[i].place.policy);
		route_unref(&k->later[i].route);
	}
	free(k->later);
	k->later = NULL;
	k->nlater = k->later_at = 0;
}

/* --- names --- */

/* What it means that there is no way. That a next hop of our configuration is
 * not there is no fault of the mail, which waits (host; NULL: the same). */
static const struct {
	const char *status, *host, *text;
} no_way[] = {
	[WAY_FAULT] = { "4.4.3", NULL, "the name service gave no answer" },
	[WAY_NO_DOMAIN] = { "5.1.2", "4.4.4", "the domain does not exist" },
	[WAY_NO_MAIL] = { "5.1.10", NULL, "the domain takes no mail" },
	[WAY_NO_ADDRESS] = { "5.4.4", "4.4.4",
	    "no host there has a usable address" },
	[WAY_LOOP] = { "5.4.6", NULL,
	    "mail loop: the next hop is this gateway" },
};

static const char *
no_way_status(const struct route *r)
{
	bool by_mx = r->question.ask.kind == WAY_MX;

	return by_mx || no_way[r->result].host == NULL ?
		   no_way[r->result].status :
		   no_way[r->result].host;
}

/* Takes r over. */
static void
use_route(struct work *w, struct route *r)
{
	struct walk *k = &w->walk;
	struct verdict v = { 0 };

	k->route = r;
	k->step = STEP_ADDRS;
	k->at = k->norder = 0;
	if (r->result == WAY_FOUND) {
		k->norder = route_draw(r, k->order);
		if (!r->partial)
			return;
		/* Those that are known can say no for themselves only. */
		verdict_set(&v, "4.4.3",
		    "not all addresses of %s are known for now", r->name);
	} else {
		verdict_set(&v, no_way_status(r), "%s",
		    r->text[0] != '\0' ? r->text : no_way[r->result].text);
		k->reached_out =
		    k->reached_out || v.outcome == OUTCOME_DEFERRED;
	}
	work_set_failure(w, &v);
}

static void
on_way(void *ctx, struct route *r)
{
	struct work *w = ctx;

	use_route(w, r);
	resume(w);
}

/* Takes p over. */
static void
use_sts(struct work *w, struct sts_policy *p)
{
	w->walk.sts = p;
	w->walk.step = STEP_ROUTE;
	tls_tally_sts(w->walk.url.name, p);
}

static void
on_sts(void *ctx, struct sts_policy *p)
{
	struct work *w = ctx;

	use_sts(w, p);
	resume(w);
}

void
walk_begin(struct work *w)
{
	w->walk.rest = str_of(w->hops_text);
	w->walk.wait.fn = on_way;
	w->walk.wait.ctx = w;
	w->walk.sts_wait.fn = on_sts;
	w->walk.sts_wait.ctx = w;
}

/* --- URLs --- */

static bool
wants_tls(const struct work *w)
{
	return (w->flags & ENVELOPE_REQUIRETLS) != 0;
}

/* By MX the recipient's domain is what makes no sense: an address literal of
 * a kind we do not know, or letters beyond ASCII. Else our configuration. */
static void
note_bad_url(struct work *w, struct str url)
{
	struct verdict v = { 0 };

	if (!str_starts_nocase(url, STR("mx://"))) {
		w->walk.bad = true;
		return;
	}
	verdict_set(&v, "5.1.2", "no host can be found for such a domain");
	work_set_failure(w, &v);
}

/* False: there is none left. */
static bool
next_url(struct work *w, const struct action *a)
{
	struct walk *k = &w->walk;

	close_url(k);
	if (!hop_url_next(&k->rest, &k->url_text))
		return false;
	if (hop_url_parse(k->url_text, &k->url, NULL) == -1)
		note_bad_url(w, k->url_text);
	else if (k->url.kind == HOP_ADDRESS || k->url.kind == HOP_LOCAL)
		k->step = STEP_ADDRESS;
	else
		k->step = policy_wants_sts(a, &k->url, wants_tls(w)) &&
				  (w->flags & ENVELOPE_TLS_OPTIONAL) == 0 ?
			      STEP_STS :
			      STEP_ROUTE;
	return true;
}

static bool
has_sts(struct work *w)
{
	char low[PATH_DOMAIN_MAX];
	struct str name = str_head(w->walk.url.name, sizeof(low));
	struct sts_policy *p;

	for (size_t i = 0; i < name.len; i++)
		low[i] = chr_lower(name.p[i]);
	name.p = low;
	p = sts_get(name, &w->walk.sts_wait);
	if (p == NULL)
		return false;
	use_sts(w, p);
	return true;
}

static bool
has_route(struct work *w, const struct action *a)
{
	struct walk *k = &w->walk;
	struct route *r = routes_get(
	    &k->url, policy_wants_dane(a, &k->url, wants_tls(w)), &k->wait);

	if (r == NULL)
		return false;
	use_route(w, r);
	return true;
}

/* --- places --- */

static struct route_host *
next_address(struct walk *k, struct place *out)
{
	size_t i = k->order[k->at++];
	struct route_host *h = route_host_of(k->route, i);

	*out = (struct place){ .host = h->name };
	out->at.addr = k->route->addrs[i];
	out->at.port = k->route->question.ask.port;
	k->preference = h->preference;
	return h;
}

static void
the_address(struct walk *k, struct place *out)
{
	*out = (struct place){ .at = {
				   .addr = k->url.addr, .port = k->url.port } };
	/* hop_url_parse sees to its length */
	if (k->url.kind == HOP_LOCAL)
		memcpy(out->at.path, k->url.name.p,
		    str_head(k->url.name, HOP_PATH_MAX).len);
}

static void
bar(struct work *w, const struct place *place, struct verdict *v)
{
	place_format(place, v->relay);
	work_set_failure(w, v);
}

/* Nobody may be asked there. */
static bool
is_barred(struct work *w, const struct config *c, const struct place *place)
{
	struct verdict v = { 0 };

	if (hop_is_ours(&place->at, c))
		verdict_set(&v, "5.4.6",
		    "mail loop: the next hop is this gateway itself");
	else if (place->at.addr.family != ADDR_LOCAL &&
		 hop_is_unusable(&place->at.addr))
		verdict_set(&v, "5.4.4", "nobody can be at that address");
	else
		return false;
	bar(w, place, &v);
	return true;
}

/* What it means that mail must not go there. */
static const struct {
	const char *status, *text;
} refusals[] = {
	[POLICY_FINE] = { "4.3.0", "" },
	[POLICY_DANE_FAULT] = { "4.7.5",
	    "its TLSA records cannot be told for now (DNSSEC)" },
	[POLICY_STS_DENIED] = { "4.7.5",
	    "the domain's MTA-STS policy does not know that host" },
	[POLICY_STS_FAULT] = { "4.7.5",
	    "the domain's MTA-STS policy cannot be told for now" },
	[POLICY_IN_CLEAR] = { "4.7.5",
	    "the next hop is never spoken to by TLS, which is required" },
	[POLICY_NO_REQUIRE] = { "5.7.30",
	    "REQUIRETLS, and the next hop is never spoken to by TLS" },
	[POLICY_MX_UNSURE] = { "5.7.30",
	    "REQUIRETLS, and neither DNSSEC nor MTA-STS vouches for the host" },
};

static bool
has_policy(struct work *w, struct policy_parts *q, struct route_host *h,
    struct place *place)
{
	struct walk *k = &w->walk;
	enum policy_refusal no;
	struct verdict v = { 0 };

	policy_unref(&k->policy);
	if (h != NULL)
		k->policy = policy_get(&h->policy, q, &no);
	else
		k->policy = policy_get_by_url(k->url_text, q, &no);
	place->policy = k->policy;
	if (k->policy != NULL)
		return true;
	k->reached_out = true;
	verdict_set(&v, refusals[no].status, "%s", refusals[no].text);
	bar(w, place, &v);
	tls_tally_refused(q, place, no);
	return false;
}

static bool
has_source(struct work *w, const struct action *a, struct place *place)
{
	if (bind_addr_pick(a, &place->at.addr, &place->source) == 0)
		return true;
	w->walk.sourceless = true;
	return false;
}

/* May it be tried? Sets its policy and its source. h: whose address it is,
 * NULL: no name. */
static bool
is_good(struct work *w, struct config *c, const struct action *a,
    struct route_host *h, struct place *out)
{
	struct policy_parts q = { .config = c,
		.action = a,
		.url = &w->walk.url,
		.require_tls = wants_tls(w),
		.tls_optional = (w->flags & ENVELOPE_TLS_OPTIONAL) != 0,
		.host = h == NULL ? NULL : h->name,
		.mx_is_secure = h != NULL && w->walk.route->mx_is_secure,
		.dane = h == NULL ? NULL : &h->dane,
		.sts = w->walk.sts };

	return !is_barred(w, c, out) && has_policy(w, &q, h, out) &&
	       has_source(w, a, out);
}

/* The next one that may be tried, whatever it is. */
static enum walk_result
candidate(
    struct work *w, struct config *c, const struct action *a, struct place *out)
{
	struct walk *k = &w->walk;
	struct route_host *h;

	for (;;) {
		switch (k->step) {
		case STEP_URL:
			if (!next_url(w, a))
				return WALK_END;
			break;
		case STEP_STS:
			if (!has_sts(w))
				return WALK_WAIT;
			break;
		case STEP_ROUTE:
			if (!has_route(w, a))
				return WALK_WAIT;
			break;
		case STEP_ADDRS:
			if (k->at == k->norder) {
				k->step = STEP_URL;
				break;
			}
			h = next_address(k, out);
			if (is_good(w, c, a, h, out))
				return WALK_PLACE;
			break;
		case STEP_ADDRESS:
			k->step = STEP_URL;
			the_address(k, out);
			if (is_good(w, c, a, NULL, out))
				return WALK_PLACE;
			break;
		}
	}
}

static void
put_off(struct walk *k, const struct place *place)
{
	if (k->nlater == WAY_ALL_MAX)
		return;
	k->later = xreallocarray(k->later, k->nlater + 1, sizeof(*k->later));
	(void)policy_ref(place->policy);
	if (place->host != NULL)
		k->route->refs++;
	k->later[k->nlater++] =
	    (struct later){ *place, place->host != NULL ? k->route : NULL };
}

/* All that is left are places that were dead when it was their turn. */
static enum walk_result
last_resort(struct work *w, struct place *out)
{
	struct walk *k = &w->walk;
	struct verdict v = { 0 };

	if (k->later_at < k->nlater) {
		*out = k->later[k->later_at++].place;
		return WALK_PLACE;
	}
	if (w->failure != NULL)
		return WALK_END;
	if (k->bad)
		verdict_set(&v, "4.3.5", "the next hop is not smtp://HOST");
	else if (k->sourceless)
		verdict_set(&v, "4.4.1",
		    "no source address is of the family of the next hop's");
	else
		verdict_set(
		    &v, "4.4.4", "there is no next hop for %s", w->domain);
	work_set_failure(w, &v);
	return WALK_END;
}

void
walk_is_ours(struct walk *k)
{
	/* Behind it in the order of preference, not those put off before. */
	const struct route *r =
	    k->later_at > 0 ? k->later[k->later_at - 1].route : k->route;

	if (r == NULL || r->question.ask.kind != WAY_MX)
		return;
	if (r == k->route)
		k->at = k->norder;
	while (k->later_at > 0 && k->later_at < k->nlater &&
	       k->later[k->later_at].route == r)
		k->later_at++;
}

/* The action that the configuration has now says what a connection must be;
 * without it nobody knows. */
static const struct action *
relay_of(struct work *w, const struct config *c)
{
	const struct action *a =
	    c == NULL ? NULL : config_find_action(c, str_of(w->action));
	struct verdict v = { 0 };

	if (a != NULL && a->kind == ACTION_RELAY)
		return a;
	verdict_set(&v, "4.3.5", "the configuration has no relay %s any more",
	    w->action);
	work_set_failure(w, &v);
	return NULL;
}

enum walk_result
walk_next(struct work *w, struct config *c, struct place *out)
{
	const struct action *a = relay_of(w, c);
	struct walk *k = &w->walk;
	enum walk_result found;

	if (k->nplaces == WAY_ALL_MAX || a == NULL)
		return WALK_END;
	while ((found = candidate(w, c, a, out)) == WALK_PLACE) {
		if (!hop_is_dead(&out->at, loop_now_ms(loop)))
			break;
		put_off(k, out);
	}
	if (found == WALK_END)
		found = last_resort(w, out);
	if (found == WALK_PLACE) {
		k->nplaces++;
		k->reached_out = true;
	}
	return found;
}

bool
walk_next_beside(struct work *w, struct config *c, struct place *out)
{
	const struct action *a = relay_of(w, c);
	struct walk *k = &w->walk;
	struct route_host *h;

	while (a != NULL && k->step == STEP_ADDRS && k->at < k->norder &&
	       k->nplaces < WAY_ALL_MAX) {
		h = route_host_of(k->route, k->order[k->at]);
		if (h->preference != k->preference)
			return false;
		h = next_address(k, out);
		if (!is_good(w, c, a, h, out))
			continue;
		if (hop_is_dead(&out->at, loop_now_ms(loop))) {
			put_off(k, out);
			continue;
		}
		k->nplaces++;
		return true;
	}
	return false;
}

/* To the head of those whose turn is to come: all between are no worse. */
void
walk_give_back(struct walk *k, const struct place *p)
{
	for (size_t i = 0; k->step == STEP_ADDRS && i < k->at; i++) {
		uint8_t addr = k->order[i];

		if (!addr_eq(&k->route->addrs[addr], &p->at.addr) ||
		    p->host == NULL ||
		    strcmp(route_host_of(k->route, addr)->name, p->host) != 0)
			continue;
		k->at--;
		memmove(&k->order[i], &k->order[i + 1], k->at - i);
		k->order[k->at] = addr;
		k->nplaces--;
		return;
	}
}
