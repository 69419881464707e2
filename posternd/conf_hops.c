/* The next hops of a relay action, as URLs. */
#include "posternd/conf_hops.h"

#include <stddef.h>

enum { HOPS_MAX = 32 }; /* as many as a delivery tries */

static int
check_url(struct str url, struct fault *why)
{
	struct hop_url hop;

	if (hop_url_parse(url, &hop, why) == -1)
		return -1;
	if (hop.kind == HOP_MX)
		return fault_set(why, FAULT_PERM,
		    "`%.*s': by MX is `relay' without `to'",
		    (int)(url.len > 100 ? 100 : url.len), url.p);
	return 0;
}

int
conf_hops_check(struct str hops, struct fault *why)
{
	struct str url;
	size_t n = 0;

	while (hop_url_next(&hops, &url)) {
		if (++n > HOPS_MAX)
			return fault_set(why, FAULT_PERM,
			    "more than %d next hops", HOPS_MAX);
		if (check_url(url, why) == -1)
			return -1;
	}
	return n > 0 ? 0 : fault_set(why, FAULT_PERM, "no next hop");
}

struct search {
	const struct action *action;
	conf_hop_fn *fn;
	struct str url; /* found */
};

static bool
search_hops(struct search *s, struct str hops)
{
	struct hop_url hop;

	while (hop_url_next(&hops, &s->url))
		if (hop_url_parse(s->url, &hop, NULL) == 0 &&
		    s->fn(s->action, &hop))
			return true;
	return false;
}

static bool
search_entry(void *search, struct str key, struct str value)
{
	(void)key;
	return search_hops(search, value);
}

bool
conf_hops_any(const struct action *a, conf_hop_fn *fn, struct str *url)
{
	struct search s = { .action = a, .fn = fn };
	bool found = a->routes != NULL ?
			 table_any(a->routes, search_entry, &s) :
			 search_hops(&s, str_of(a->hops));

	if (url != NULL)
		*url = s.url;
	return found;
}
