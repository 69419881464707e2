/* The list of sessions, and how all of them end. */
#include "smtpd/sessions.h"

#include <bsd/sys/queue.h>

#include "smtpd/session.h"

static TAILQ_HEAD(, session) sessions = TAILQ_HEAD_INITIALIZER(sessions);
static size_t nsessions;
static uint64_t serial;
static bool stopping, paused;
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
	if (nsessions == 0 && on_empty != NULL)
		on_empty();
}

const char *
sessions_last_word(const char **why)
{
	*why = stopping ? "stopping" : "paused";
	if (stopping)
		return SESSIONS_STOPPING_REPLY;
	return paused ? SESSIONS_PAUSED_REPLY : NULL;
}

static void
end_idle(void)
{
	struct session *s, *next;
	const char *why, *reply = sessions_last_word(&why);

	TAILQ_FOREACH_SAFE(s, &sessions, entry, next) {
		if (s->tx == NULL && s->command == NULL)
			session_end(s, reply, why);
	}
}

void
sessions_stop(void (*fn)(void))
{
	stopping = true;
	on_empty = fn;
	end_idle();
	if (nsessions == 0)
		fn();
}

void
sessions_pause(bool on)
{
	bool was = paused;

	paused = on;
	if (paused && !was && !stopping)
		end_idle();
}

bool
sessions_are_paused(void)
{
	return paused;
}

void
sessions_retire(void (*fn)(void))
{
	on_empty = fn;
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
	stopping = paused = false;
	on_empty = NULL;
}
