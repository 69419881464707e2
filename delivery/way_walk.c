#include "delivery/way_walk.h"

#include <stdlib.h>

#include "delivery/result.h"
#include "lib/base/alloc.h"

static struct loop *loop;
static void (*resume)(struct work *w);

void
walk_init(struct loop *l, void (*go_on)(struct work *w))
{
	loop = l;
	resume = go_on;
}

void
walk_clear(struct walk *k)
{
	routes_cancel(&k->wait);
	route_unref(&k->route);
	for (size_t i = 0; i < k->nlater; i++)
		route_unref(&k->later[i].route);
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

	route_unref(&k->route);
	k->route = r;
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

void
walk_begin(struct work *w)
{
	w->walk.rest = str_of(w->hops_text);
	w->walk.wait.fn = on_way;
	w->walk.wait.ctx = w;
}

/* --- places --- */

static void
next_address(struct walk *k, struct place *out)
{
	size_t i = k->order[k->at++];

	out->at.addr = k->route->addrs[i];
	out->at.port = k->route->question.ask.port;
	out->host = route_host_of(k->route, i);
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

/* The next one, whatever it is. */
static enum walk_result
candidate(struct work *w, struct place *out)
{
	struct walk *k = &w->walk;
	struct hop_url hop;
	struct route *r;
	struct str url;

	while (k->at == k->norder) {
		route_unref(&k->route);
		if (!hop_url_next(&k->rest, &url))
			return WALK_END;
		if (hop_url_parse(url, &hop, NULL) == -1) {
			note_bad_url(w, url);
			continue;
		}
		if (hop.kind == HOP_ADDRESS) {
			*out = (struct place){ .at = { .addr = hop.addr,
						   .port = hop.port } };
			return WALK_PLACE;
		}
		r = routes_get(&hop, &k->wait);
		if (r == NULL)
			return WALK_WAIT;
		use_route(w, r);
	}
	next_address(k, out);
	return WALK_PLACE;
}

/* Nobody may be asked there. */
static bool
is_barred(struct work *w, const struct config *c, const struct place *place)
{
	struct verdict v = { 0 };

	if (hop_is_ours(&place->at, c))
		verdict_set(&v, "5.4.6",
		    "mail loop: the next hop is this gateway itself");
	else if (hop_is_unusable(&place->at.addr))
		verdict_set(&v, "5.4.4", "nobody can be at that address");
	else
		return false;
	place_format(place, v.relay);
	work_set_failure(w, &v);
	return true;
}

static void
put_off(struct walk *k, const struct place *place)
{
	if (k->nlater == WAY_ALL_MAX)
		return;
	k->later = xreallocarray(k->later, k->nlater + 1, sizeof(*k->later));
	if (k->route != NULL)
		k->route->refs++;
	k->later[k->nlater++] = (struct later){ *place, k->route };
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

enum walk_result
walk_next(struct work *w, const struct config *c, struct place *out)
{
	struct walk *k = &w->walk;
	enum walk_result found;

	if (k->nplaces == WAY_ALL_MAX)
		return WALK_END;
	while ((found = candidate(w, out)) == WALK_PLACE) {
		if (is_barred(w, c, out))
			continue;
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
