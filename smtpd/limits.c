/* Limits on connections (over all workers) and on patience. */
#include "smtpd/limits.h"

#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/net/sources.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"
#include "smtpd/stress.h"

enum {
	DELAY_MAX_MS = 30000,
	STRESS_MESSAGES = 50 /* on one connection, while there is stress */
};

static struct sources *sources;

static const struct {
	const char *reply, *why;
	enum statistic count;
} refusals[] = {
	[SOURCES_OK] = { NULL, NULL, STAT_COUNT },
	[SOURCES_FULL] = { "421 4.3.2 Too many connections, try again later",
	    "connections", STAT_LIMIT_FULL },
	[SOURCES_TOO_MANY] = { "421 4.7.0 Too many connections from you",
	    "connections-per-source", STAT_LIMIT_SOURCE },
	[SOURCES_TOO_FAST] = { "421 4.7.0 You connect too often",
	    "rate-per-source", STAT_LIMIT_SOURCE },
	[SOURCES_SUBNET_TOO_MANY] = { "421 4.7.0 Too many connections from "
				      "your network",
	    "connections-per-subnet", STAT_LIMIT_SUBNET },
	[SOURCES_SUBNET_TOO_FAST] = { "421 4.7.0 Your network connects too "
				      "often",
	    "rate-per-subnet", STAT_LIMIT_SUBNET },
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
    uint32_t listener, bool trusted, uint32_t *ticket, const char **why)
{
	const struct limits *l = &config->limits;
	struct sources_limits limits = {
		.connections = l->connections,
		.per_source = l->connections_per_source,
		.rate = l->rate_per_source,
		.rate_period_ms = l->rate_per_source_period,
		.per_subnet = l->connections_per_subnet,
		.subnet_rate = l->rate_per_subnet,
		.subnet_rate_period_ms = l->rate_per_subnet_period,
	};
	enum sources_verdict v;

	*ticket = 0;
	*why = NULL;
	if (sources == NULL)
		return NULL;
	/* Our own users are counted, but only the gateway's limit is theirs. */
	if (client->family == ADDR_LOCAL || trusted)
		limits.per_source = limits.rate = limits.per_subnet =
		    limits.subnet_rate = 0;
	v = sources_enter(
	    sources, client, listener, &limits, clock_mono_ms(), ticket);
	if (v != SOURCES_OK)
		stats_add(refusals[v].count, 1);
	*why = refusals[v].why;
	return refusals[v].reply;
}

void
limits_leave(uint32_t listener, uint32_t ticket)
{
	if (sources != NULL)
		sources_leave(sources, listener, ticket);
}

uint64_t
limits_total(void)
{
	return sources != NULL ? sources_total(sources) : 0;
}

bool
limits_are_counting(void)
{
	return sources != NULL;
}

bool
limits_auth_is_over(const struct session *s)
{
	const struct limits *l = &s->config->limits;

	return sources != NULL &&
	       sources_failures(sources, &s->client, l->auth_failures_period,
		   clock_mono_ms()) >= l->auth_failures;
}

void
limits_auth_failed(const struct session *s)
{
	if (sources != NULL)
		sources_fail(sources, &s->client,
		    s->config->limits.auth_failures_period, clock_mono_ms());
}

enum penalty
limits_error(struct session *s)
{
	const struct limits *l = &s->config->limits;

	s->nerrors++;
	if (s->nerrors >= stress_errors(l))
		return PENALTY_CLOSE;
	if (s->nerrors >= l->soft_errors && l->error_delay > 0)
		return PENALTY_DELAY;
	return PENALTY_NONE;
}

/* Twice as long for each error more. */
uint64_t
limits_error_delay(const struct session *s)
{
	const struct limits *l = &s->config->limits;
	uint64_t ms = l->error_delay;

	for (uint64_t n = l->soft_errors; n < s->nerrors && ms < DELAY_MAX_MS;
	     n++)
		ms *= 2;
	return ms < DELAY_MAX_MS || ms == l->error_delay ? ms : DELAY_MAX_MS;
}

uint64_t
limits_message_size(const struct session *s)
{
	return s->listener->max_size != 0 ? s->listener->max_size :
					    s->config->limits.message_size;
}

uint64_t
limits_messages(const struct session *s)
{
	uint64_t n = s->config->limits.messages_per_connection;

	return stress_is_on() && n > STRESS_MESSAGES ? STRESS_MESSAGES : n;
}

bool
limits_junk(struct session *s)
{
	return ++s->njunk > stress_junk(&s->config->limits);
}
