/* The next hops of a relay action, as URLs. */
#include "posternd/conf_hops.h"

#include <stddef.h>

#include "lib/rules/hop.h"

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
