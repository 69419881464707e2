/* The next hops of a relay action, as URLs. */
#include "posternd/conf_hops.h"

#include <stdbool.h>
#include <stddef.h>

#include "lib/net/addr.h"

enum { HOPS_MAX = 32 }; /* as many as a delivery tries */

static const struct {
	struct str scheme;
	bool there;
} schemes[] = {
	{ { "smtp://", 7 }, true },
	{ { "smtp+tls://", 11 }, false },
	{ { "smtp+notls://", 13 }, true },
	{ { "smtps://", 8 }, false },
	{ { "lmtp://", 7 }, false },
	{ { "lmtp+unix://", 12 }, false },
};

/* Cuts HOST and PORT; an IPv6 address stands in brackets, as in any URL. */
static int
split_port(struct str in, struct str *host, uint64_t *port)
{
	size_t colon;

	if (in.len > 0 && in.p[in.len - 1] == '/')
		in.len--;
	*port = 25;
	if (in.len > 0 && in.p[0] == '[')
		colon = str_find(in, ']') + 1;
	else
		colon = str_find(in, ':');
	*host = str_head(in, colon);
	if (colon >= in.len)
		return 0;
	if (in.p[colon] != ':')
		return -1;
	return str_to_u64(str_skip(in, colon + 1), 65535, port) == 0 &&
		       *port > 0 ?
		   0 :
		   -1;
}

static int
check_host(struct str url, struct str rest, struct fault *why)
{
	struct addr addr;
	struct str host;
	uint64_t port;

	if (split_port(rest, &host, &port) == -1)
		return fault_set(
		    why, FAULT_PERM, "`%.*s': bad port", (int)url.len, url.p);
	if (addr_parse(host, &addr) == 0 &&
	    (addr.family == ADDR_V4 || host.p[0] == '['))
		return 0;
	if (host.len == 0 || host.p[0] == '[' || str_find(rest, '/') < rest.len)
		return fault_set(why, FAULT_PERM, "`%.*s': bad address",
		    (int)url.len, url.p);
	return fault_set(why, FAULT_PERM,
	    "`%.*s': a host's name as next hop is not available yet",
	    (int)url.len, url.p);
}

static int
check_url(struct str url, struct fault *why)
{
	size_t i;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (!str_starts_nocase(url, schemes[i].scheme))
			continue;
		if (!schemes[i].there)
			return fault_set(why, FAULT_PERM,
			    "%s is not available yet", schemes[i].scheme.p);
		return check_host(
		    url, str_skip(url, schemes[i].scheme.len), why);
	}
	return fault_set(why, FAULT_PERM,
	    "`%.*s' is not a next hop (smtp://ADDRESS:PORT)",
	    (int)(url.len > 100 ? 100 : url.len), url.p);
}

int
conf_hops_check(struct str hops, struct fault *why)
{
	size_t n = 0;

	hops = str_trim(hops);
	if (hops.len == 0)
		return fault_set(why, FAULT_PERM, "no next hop");
	while (hops.len > 0) {
		struct str url = str_head(hops, str_find(hops, ' '));

		if (++n > HOPS_MAX)
			return fault_set(why, FAULT_PERM,
			    "more than %d next hops", HOPS_MAX);
		if (check_url(url, why) == -1)
			return -1;
		hops = str_trim(str_skip(hops, url.len));
	}
	return 0;
}
