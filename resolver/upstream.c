#include "resolver/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum {
	RETRY_MS = 30000, /* one that failed comes last that long */
	FAILURES_DEAD = 2 /* in a row, then it is worth a warning */
};

struct upstreams *
upstreams_new(const struct server *servers, size_t n)
{
	struct upstreams *u = xcalloc(1, sizeof(*u));

	u->refs = 1;
	u->n = n < CONFIG_SERVERS_MAX ? n : CONFIG_SERVERS_MAX;
	for (size_t i = 0; i < u->n; i++)
		u->all[i].server = servers[i];
	return u;
}

void
upstreams_unref(struct upstreams **u)
{
	if (*u != NULL && --(*u)->refs == 0)
		free(*u);
	*u = NULL;
}

static bool
server_eq(const struct server *a, const struct server *b)
{
	return addr_eq(&a->addr, &b->addr) && a->port == b->port &&
	       a->timeout_ms == b->timeout_ms && a->trust_ad == b->trust_ad;
}

bool
upstreams_are(const struct upstreams *u, const struct server *servers, size_t n)
{
	if (u->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!server_eq(&u->all[i].server, &servers[i]))
			return false;
	return true;
}

size_t
upstreams_plan(struct upstreams *u, uint64_t now_ms,
    uint8_t order[static CONFIG_SERVERS_MAX])
{
	uint8_t later[CONFIG_SERVERS_MAX] = { 0 };
	size_t n = 0, nlater = 0;

	for (size_t i = 0; i < u->n; i++) {
		struct upstream *s = &u->all[i];
		if (s->later_ms > now_ms) {
			later[nlater++] = (uint8_t)i;
			continue;
		}
		order[n++] = (uint8_t)i;
		if (s->failures > 0)
			s->later_ms = now_ms + s->server.timeout_ms;
	}
	memcpy(order + n, later, nlater);
	return u->n;
}

void
upstream_failed(struct upstream *u, const char *why, uint64_t now_ms)
{
	char text[SERVER_TEXT_MAX];

	u->failures++;
	u->later_ms = now_ms + RETRY_MS;
	if (u->dead || u->failures < FAILURES_DEAD)
		return;
	u->dead = true;
	log_warn(NULL, "dns-server", "server=%s state=dead why=%s",
	    log_cstr(server_format(&u->server, text)), log_cstr(why));
}

void
upstream_answered(struct upstream *u)
{
	char text[SERVER_TEXT_MAX];

	u->failures = 0;
	u->later_ms = 0;
	if (!u->dead)
		return;
	u->dead = false;
	log_info(NULL, "dns-server", "server=%s state=back",
	    log_cstr(server_format(&u->server, text)));
}

const char *
server_format(const struct server *s, char out[static SERVER_TEXT_MAX])
{
	char addr[ADDR_TEXT_MAX];

	snprintf(out, SERVER_TEXT_MAX,
	    s->addr.family == ADDR_V6 ? "[%s]:%u" : "%s:%u",
	    addr_format(&s->addr, addr), s->port);
	return out;
}
