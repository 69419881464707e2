/* A list of next hops: what is one can be gone to. */
#include <stdlib.h>
#include <string.h>

#include "lib/rules/hop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_sound(const struct hop_url *hop)
{
	switch (hop->kind) {
	case HOP_ADDRESS:
		return hop->port != 0 && (hop->addr.family == ADDR_V4 ||
					     hop->addr.family == ADDR_V6);
	case HOP_HOST:
		return hop->port != 0 && hop_is_host_name(hop->name);
	case HOP_MX:
		return hop->port != 0 && hop->name.len > 0 && !hop->lmtp;
	case HOP_LOCAL:
		return hop->name.len > 1 && hop->name.len <= HOP_PATH_MAX &&
		       hop->name.p[0] == '/' &&
		       memchr(hop->name.p, '\0', hop->name.len) == NULL &&
		       hop->tls == HOP_TLS_NEVER;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size }, url;

	while (hop_url_next(&text, &url)) {
		struct hop_url hop;
		struct fault why = { 0 };

		if (hop_url_parse(url, &hop, &why) == 0 ? !is_sound(&hop) :
							  why.text[0] == '\0')
			abort();
	}
	return 0;
}
