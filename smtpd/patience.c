/* Deadlines of sessions: a table of states, and a few that need more. */
#include "smtpd/patience.h"

#include "lib/base/clock.h"
#include "smtpd/command.h"
#include "smtpd/limits.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"
#include "smtpd/stress.h"

enum {
	/* The queue's answer; clients wait ten minutes (RFC 5321 4.5.3.2). */
	QUEUE_MS = 570000,
	/* The client's name, and what DNS lists say of it. */
	NAME_MS = 5000,
	/* Filters, but for content, which may take as long as the queue:
	 * clients wait five minutes (RFC 5321 4.5.3.2). */
	FILTERS_MS = 285000,
	/* The vault, whose own queue is bounded. */
	VAULT_MS = 60000,
	/* The PROXY header; a balancer has it at hand. */
	PROXY_MS = 10000
};

static uint64_t
filters_ms(const struct session *s)
{
	return s->body != NULL ? QUEUE_MS : FILTERS_MS;
}

static uint64_t
handshake_ms(const struct session *s)
{
	return stress_handshake_timeout(&s->config->limits);
}

static uint64_t
auth_ms(const struct session *s)
{
	return stress_command_timeout(&s->config->limits);
}

/* Those that are not here set their own, or have none. */
static const struct {
	uint64_t ms;
	uint64_t (*fn)(const struct session *s);
} deadlines[] = {
	[SESSION_PROXY] = { PROXY_MS, NULL },
	[SESSION_HANDSHAKE] = { 0, handshake_ms },
	[SESSION_BUSY] = { QUEUE_MS, NULL },
	[SESSION_NAMING] = { NAME_MS, NULL },
	[SESSION_LISTING] = { NAME_MS, NULL },
	[SESSION_FILTERING] = { 0, filters_ms },
	[SESSION_DELAY] = { 0, limits_error_delay },
	[SESSION_AUTH] = { 0, auth_ms },
	[SESSION_VAULT] = { VAULT_MS, NULL },
	[SESSION_GONE] = { 0, NULL },
};

static void
time_is_up(struct session *s)
{
	stats_add(STAT_LIMIT_TIME, 1);
	session_end(s, "421 4.4.2 This session takes too long, connect again",
	    "session-time");
}

/* When the time of the whole session is up. A transaction is let come to its
 * end, in as much time as its content may take. */
static uint64_t
session_due(const struct session *s)
{
	const struct limits *l = &s->config->limits;

	return s->begin_ms + l->session_time +
	       (s->tx != NULL ? l->data_total : 0);
}

/* The wait for the client begins: for its command, and for it to take our
 * replies; whichever ends first. */
static void
await_command(struct session *s)
{
	const struct limits *l = &s->config->limits;
	uint64_t now = clock_mono_ms(), end = session_due(s);
	uint64_t write_ms = stress_write_timeout(l);
	uint64_t command_ms = stress_command_timeout(l);

	if (now >= end) {
		time_is_up(s);
		return;
	}
	s->due_ms = now + command_ms;
	if (end < s->due_ms)
		s->due_ms = end;
	s->unsent_seen = SIZE_MAX;
	command_ms = s->due_ms - now;
	stream_deadline(
	    s->stream, write_ms < command_ms ? write_ms : command_ms);
}

void
patience_begin(struct session *s)
{
	uint64_t ms;

	switch ((enum session_state)s->state) {
	case SESSION_BUSY:
		s->busy_ms = clock_mono_ms();
		break;
	case SESSION_COMMAND:
		await_command(s);
		return;
	case SESSION_PROXY:
	case SESSION_HANDSHAKE:
	case SESSION_GREETING:
	case SESSION_SKIP:
	case SESSION_NAMING:
	case SESSION_FILTERING:
	case SESSION_DELAY:
	case SESSION_LISTING:
	case SESSION_AUTH:
	case SESSION_VAULT:
	case SESSION_BODY:
	case SESSION_CHUNK:
	case SESSION_LINGER:
	case SESSION_GONE:
		break;
	}
	ms = deadlines[s->state].fn != NULL ? deadlines[s->state].fn(s) :
					      deadlines[s->state].ms;
	if (ms > 0)
		stream_deadline(s->stream, ms);
}

/* Replies lie unread and nothing has moved since the last look. */
static bool
is_stuck(struct session *s)
{
	size_t unsent = stream_unsent(s->stream);
	bool stuck = unsent > 0 && unsent >= s->unsent_seen;

	s->unsent_seen = unsent;
	return stuck;
}

void
patience_command_over(struct session *s)
{
	const struct limits *l = &s->config->limits;
	uint64_t now = clock_mono_ms();

	if (is_stuck(s)) {
		stats_add(STAT_TIMEOUTS, 1);
		session_drop(s, "write-timeout");
		return;
	}
	if (now >= session_due(s)) {
		time_is_up(s);
		return;
	}
	if (now < s->due_ms || stream_unsent(s->stream) > 0) {
		uint64_t ms = stress_write_timeout(l);

		if (stream_unsent(s->stream) == 0 || s->due_ms - now < ms)
			ms = s->due_ms - now;
		stream_deadline(s->stream, ms);
		return;
	}
	stats_add(STAT_TIMEOUTS, 1);
	session_end(s, "421 4.4.2 Timeout", "timeout");
}

void
patience_queue_over(struct session *s)
{
	/* The queue does not answer. What it may still do is its own
	 * business; the client hears a 4xx. */
	session_end(
	    s, "421 4.3.0 Local error, try again later", "queue-timeout");
}

void
patience_name_over(struct session *s)
{
	s->name_late = true;
	command_resume(s->command);
}

void
patience_lists_over(struct session *s)
{
	s->lists_late = true;
	command_resume(s->command);
}

void
patience_filters_over(struct session *s)
{
	session_end(s, "421 4.7.1 Filters take too long, try again later",
	    "filter-timeout");
}

void
patience_delay_over(struct session *s)
{
	command_done(s->command);
}
