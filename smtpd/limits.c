/* Limits on connections (over all workers) and on patience. */
#include "smtpd/limits.h"

#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/net/sources.h"
#include "smtpd/session.h"

static struct sources *sources;

static const struct {
	const char *reply, *why;
} refusals[] = {
	[SOURCES_OK] = { NULL, NULL },
	[SOURCES_FULL] = { "421 4.3.2 Too many connections, try again later",
	    "connections" },
	[SOURCES_TOO_MANY] = { "421 4.7.0 Too many connections from you",
	    "connections-per-source" },
	[SOURCES_TOO_FAST] = { "421 4.7.0 You connect too often",
	    "rate-per-source" },
};

int
limits_set_sources(uint32_t column, int fd)
{
	struct fault why = { .class = FAULT_NONE };
	struct sources *fresh = sources_map(fd, column, &why);

	close(fd);
	if (fresh == NULL) {
		log_warn(NULL, "sources", "why=%s", log_cstr(why.text));
		return -1;
	}
	sources_unmap(&sources);
	sources = fresh;
	return 0;
}

const char *
limits_enter(const struct config *config, const struct addr *client,
    uint32_t listener, uint32_t *ticket, const char **why)
{
	const struct limits *l = &config->limits;
	struct sources_limits limits = {
		.connections = l->connections,
		.per_source = l->connections_per_source,
		.rate = l->rate_per_source,
		.rate_period_ms = l->rate_per_source_period,
	};
	enum sources_verdict v;

	*ticket = 0;
	*why = NULL;
	if (sources == NULL)
		return NULL;
	/* Our own users are counted, but only the gateway's limit is theirs. */
	if (client->family == ADDR_LOCAL)
		limits.per_source = limits.rate = 0;
	v = sources_enter(
	    sources, client, listener, &limits, clock_mono_ms(), ticket);
	*why = refusals[v].why;
	return refusals[v].reply;
}

void
limits_leave(uint32_t listener, uint32_t ticket)
{
	if (sources != NULL)
		sources_leave(sources, listener, ticket);
}

bool
limits_are_counting(void)
{
	return sources != NULL;
}

enum penalty
limits_error(struct session *s)
{
	const struct limits *l = &s->config->limits;

	s->nerrors++;
	if (s->nerrors >= l->errors)
		return PENALTY_CLOSE;
	if (s->nerrors >= l->soft_errors && l->error_delay > 0)
		return PENALTY_DELAY;
	return PENALTY_NONE;
}

bool
limits_junk(struct session *s)
{
	return ++s->njunk > s->config->limits.junk_commands;
}
