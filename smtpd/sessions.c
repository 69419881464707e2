/* The list of sessions, and how all of them end. */
#include "smtpd/sessions.h"

#include <bsd/sys/queue.h>

#include "smtpd/session.h"

static TAILQ_HEAD(, session) sessions = TAILQ_HEAD_INITIALIZER(sessions);
static size_t nsessions;
static uint64_t serial;
static bool stopping;
static void (*on_empty)(void);

void
sessions_add(struct session *s)
{
	s->serial = ++serial;
	TAILQ_INSERT_TAIL(&sessions, s, entry);
	nsessions++;
}

void
sessions_del(struct session *s)
{
	TAILQ_REMOVE(&sessions, s, entry);
	nsessions--;
	if (stopping && nsessions == 0 && on_empty != NULL)
		on_empty();
}

void
sessions_stop(void (*fn)(void))
{
	struct session *s, *next;

	stopping = true;
	on_empty = fn;
	TAILQ_FOREACH_SAFE(s, &sessions, entry, next) {
		if (s->tx == NULL && s->command == NULL)
			session_end(s, SESSIONS_STOPPING_REPLY, "stopping");
	}
	if (nsessions == 0)
		fn();
}

void
sessions_abandon(void)
{
	struct session *s, *next;

	TAILQ_FOREACH_SAFE(s, &sessions, entry, next) {
		if (s->state == SESSION_GONE)
			continue;
		if (s->state != SESSION_LINGER)
			session_say(s, SESSIONS_STOPPING_REPLY);
		session_drop(s, "stopping");
	}
}

bool
sessions_are_stopping(void)
{
	return stopping;
}

size_t
sessions_count(void)
{
	return nsessions;
}

uint64_t
sessions_last_serial(void)
{
	return serial;
}

void
sessions_each(void (*fn)(void *ctx, const struct session *s), void *ctx)
{
	const struct session *s;

	TAILQ_FOREACH(s, &sessions, entry)
		if (s->state != SESSION_GONE)
			fn(ctx, s);
}

void
sessions_restart(void)
{
	stopping = false;
	on_empty = NULL;
}
