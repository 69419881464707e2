/*
 * The life of a connection. What input and a timeout mean in each state
 * stands in one table at the end.
 */
#include "smtpd/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "smtpd/body.h"
#include "smtpd/client_name.h"
#include "smtpd/cmd_data.h"
#include "smtpd/command.h"
#include "smtpd/filtering.h"
#include "smtpd/limits.h"
#include "smtpd/line_input.h"
#include "smtpd/stats.h"
#include "smtpd/tx.h"

enum {
	/* Replies that a client does not read: then we do not read either. */
	UNSENT_MAX = 65536,
	/* Input kept while a command waits, before we stop reading. */
	UNREAD_MAX = 16384,
	/* How long and how much we listen after our last words. */
	LINGER_MS = 2000,
	LINGER_BYTES = 1 << 20,
	/* The queue's answer; clients wait ten minutes (RFC 5321 4.5.3.2). */
	BUSY_MS = 570000,
	/* The client's name. */
	NAMING_MS = 5000,
	/* Filters, but for content, which may take as long as the queue:
	 * clients wait five minutes (RFC 5321 4.5.3.2). */
	FILTERING_MS = 285000
};

static TAILQ_HEAD(, session) sessions = TAILQ_HEAD_INITIALIZER(sessions);
static size_t nsessions;
static bool stopping;
static void (*on_empty)(void);
static const char stopping_reply[] = "421 4.3.2 Shutting down, try again later";

const char *
session_hostname(const struct session *s)
{
	return s->listener->hostname != NULL ? s->listener->hostname :
					       s->config->hostname;
}

/* --- the end --- */

static void
log_end(const struct session *s)
{
	log_info(&s->log, "disconnect",
	    "client=%s rdns=%s reason=%s cmds=%u errs=%u mails=%u rcpt-ok=%u "
	    "rcpt-bad=%u bytes=%llu ms=%llu",
	    log_cstr(s->client_text), log_cstr(caller_text(s->caller)),
	    log_cstr(s->reason), s->ncmds, s->nerrors, s->naccepted,
	    s->nrcpt_ok, s->nrcpt_bad, (unsigned long long)s->bytes,
	    (unsigned long long)(clock_mono_ms() - s->begin_ms));
}

static void
session_free(struct session *s)
{
	TAILQ_REMOVE(&sessions, s, entry);
	nsessions--;
	filtering_free(&s->filtering);
	body_free(&s->body);
	command_free(&s->command);
	tx_free(&s->tx);
	config_unref(&s->config);
	caller_unref(&s->caller);
	free(s->client_text);
	free(s->helo);
	free(s);
	if (stopping && nsessions == 0 && on_empty != NULL)
		on_empty();
}

void
session_end_tx(struct session *s)
{
	filtering_end_tx(s->filtering);
	body_free(&s->body);
	tx_free(&s->tx);
}

/* Nobody is asked for this session any more, and nothing of it is kept. */
static void
let_go(struct session *s)
{
	filtering_free(&s->filtering);
	/* A commit on its way stands, whether the client hears of it or not;
	 * its answer still needs the transaction. */
	if (!s->committing) {
		body_free(&s->body);
		command_free(&s->command);
	}
}

void
session_drop(struct session *s, const char *reason)
{
	if (s->state == SESSION_GONE)
		return;
	if (s->reason == NULL)
		s->reason = reason;
	s->state = SESSION_GONE;
	stream_close(&s->stream);
	stats_sub(STAT_SESSIONS, 1);
	if (s->counted)
		limits_leave(s->listener->id, s->ticket);
	log_end(s);
	let_go(s);
	loop_after(s->loop, &s->after);
}

void
session_commit_done(struct session *s)
{
	s->committing = false;
	if (s->state == SESSION_GONE)
		loop_after(s->loop, &s->after);
}

/* The last words have left: says so to the client's kernel, then waits for
 * the client to go. Closing with unread input would reset the connection and
 * could take the words away from the client. */
static void
linger(struct session *s)
{
	if (stream_unsent(s->stream) > 0)
		return; /* on_drained comes */
	shutdown(stream_fd(s->stream), SHUT_WR);
	stream_deadline(s->stream, LINGER_MS);
	stream_resume(s->stream);
}

void
session_end(struct session *s, const char *reply, const char *reason)
{
	bool quit = strcmp(reason, "quit") == 0;

	if (s->state == SESSION_GONE || s->state == SESSION_LINGER)
		return;
	if (s->reason == NULL)
		s->reason = reason;
	if (reply != NULL)
		session_say(s, reply);
	if (quit || s->ended || s->broken) {
		session_drop(s, reason);
		return;
	}
	let_go(s);
	session_enter(s, SESSION_LINGER);
	s->skipped = 0;
	stream_deadline(s->stream, s->config->limits.write_timeout);
	loop_after(s->loop, &s->after);
}

/* After the round. */
static void
on_after(void *ctx)
{
	struct session *s = ctx;

	if (s->state == SESSION_GONE) {
		if (!s->committing)
			session_free(s);
	} else if (s->state == SESSION_LINGER)
		linger(s);
	else if (s->ended && (s->command == NULL || s->state == SESSION_BODY))
		session_drop(s, s->tx != NULL ? "lost" : "closed");
}

/* --- time --- */

/* The wait for the client begins: for its command, and for it to take our
 * replies; whichever ends first. */
static void
await_command(struct session *s)
{
	const struct limits *l = &s->config->limits;

	s->due_ms = clock_mono_ms() + l->command_timeout;
	s->unsent_seen = SIZE_MAX;
	stream_deadline(s->stream, l->write_timeout < l->command_timeout ?
				       l->write_timeout :
				       l->command_timeout);
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

static void
command_timeout(struct session *s)
{
	uint64_t now = clock_mono_ms();

	if (is_stuck(s)) {
		session_drop(s, "write-timeout");
		return;
	}
	if (now < s->due_ms || stream_unsent(s->stream) > 0) {
		uint64_t ms = s->config->limits.write_timeout;

		if (stream_unsent(s->stream) == 0 || s->due_ms - now < ms)
			ms = s->due_ms - now;
		stream_deadline(s->stream, ms);
		return;
	}
	session_end(s, "421 4.4.2 Timeout", "timeout");
}

static void
busy_timeout(struct session *s)
{
	/* The queue does not answer. What it may still do is its own
	 * business; the client hears a 4xx. */
	session_end(
	    s, "421 4.3.0 Local error, try again later", "queue-timeout");
}

static void
name_timeout(struct session *s)
{
	s->name_late = true;
	command_resume(s->command);
}

static void
filters_timeout(struct session *s)
{
	session_end(s, "421 4.7.1 Filters take too long, try again later",
	    "filter-timeout");
}

static void
delay_timeout(struct session *s)
{
	command_done(s->command);
}

static void
linger_timeout(struct session *s)
{
	session_drop(s, s->reason);
}

void
session_enter(struct session *s, enum session_state state)
{
	s->state = (uint8_t)state;
	switch (state) {
	case SESSION_BUSY:
		s->busy_ms = clock_mono_ms();
		stream_deadline(s->stream, BUSY_MS);
		break;
	case SESSION_NAMING:
		stream_deadline(s->stream, NAMING_MS);
		break;
	case SESSION_FILTERING:
		stream_deadline(
		    s->stream, s->body != NULL ? BUSY_MS : FILTERING_MS);
		break;
	case SESSION_DELAY:
		stream_deadline(s->stream, s->config->limits.error_delay);
		break;
	case SESSION_PROXY:
	case SESSION_HANDSHAKE:
	case SESSION_GREETING:
	case SESSION_LISTING:
	case SESSION_AUTH:
	case SESSION_VAULT:
	case SESSION_CHUNK:
	case SESSION_COMMAND:
	case SESSION_SKIP:
	case SESSION_BODY:
	case SESSION_LINGER:
	case SESSION_GONE:
		break;
	}
}

/* --- input --- */

/* Somebody else has to answer first. */
static size_t
wait_input(struct session *s, struct str in)
{
	if (in.len > UNREAD_MAX)
		stream_pause(s->stream);
	return 0;
}

static size_t
linger_input(struct session *s, struct str in)
{
	s->skipped += in.len;
	if (s->skipped > LINGER_BYTES)
		session_drop(s, s->reason);
	return in.len;
}

static size_t
no_input(struct session *s, struct str in)
{
	(void)s;
	return in.len;
}

static void
no_timeout(struct session *s)
{
	(void)s;
}

static const struct {
	size_t (*input)(struct session *s, struct str in);
	void (*timeout)(struct session *s);
} states[] = {
	[SESSION_COMMAND] = { line_input, command_timeout },
	[SESSION_SKIP] = { line_skip, command_timeout },
	[SESSION_BUSY] = { wait_input, busy_timeout },
	[SESSION_NAMING] = { wait_input, name_timeout },
	[SESSION_FILTERING] = { wait_input, filters_timeout },
	[SESSION_DELAY] = { wait_input, delay_timeout },
	[SESSION_BODY] = { data_input, data_timeout },
	[SESSION_LINGER] = { linger_input, linger_timeout },
	[SESSION_GONE] = { no_input, no_timeout },
};

/* --- the stream's callbacks --- */

static size_t
on_data(void *ctx, struct str in)
{
	struct session *s = ctx;
	size_t used = 0, n;
	uint8_t state;

	do {
		if (s->state == SESSION_COMMAND &&
		    stream_unsent(s->stream) > UNSENT_MAX) {
			stream_pause(s->stream);
			break;
		}
		state = s->state;
		n = states[state].input(s, str_skip(in, used));
		used += n;
	} while (used < in.len && (n > 0 || s->state != state));
	s->bytes += used;
	return used;
}

static void
on_drained(void *ctx)
{
	struct session *s = ctx;

	if (s->state == SESSION_LINGER)
		linger(s);
	else if (stream_is_paused(s->stream) && s->state == SESSION_COMMAND)
		stream_resume(s->stream);
}

static void
on_timeout(void *ctx)
{
	struct session *s = ctx;

	states[s->state].timeout(s);
}

static void
on_end(void *ctx, int error)
{
	struct session *s = ctx;

	s->ended = true;
	s->broken = error != 0;
	/* One that only ended its side waits for its reply still. */
	if (s->broken || s->command == NULL || s->state == SESSION_BODY)
		session_drop(s, s->broken     ? "reset" :
				s->tx != NULL ? "lost" :
						"closed");
}

static const struct stream_ops ops = { on_data, on_drained, on_timeout, on_end,
	NULL };

/* --- the beginning --- */

bool
session_has_input(const struct session *s)
{
	char c;

	if (s->stream == NULL)
		return false;
	return stream_unread(s->stream) > 0 ||
	       recv(stream_fd(s->stream), &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void
log_connect(const struct session *s)
{
	if (s->client.family == ADDR_LOCAL)
		log_info(&s->log, "connect", "client=%s uid=%u listener=%s",
		    log_cstr(s->client_text), s->uid,
		    log_cstr(s->listener_name));
	else
		log_info(&s->log, "connect", "client=%s port=%u listener=%s",
		    log_cstr(s->client_text), s->port,
		    log_cstr(s->listener_name));
}

/* Without waiting for the answer. */
static void
ask_who_calls(struct session *s)
{
	if (s->client.family != ADDR_LOCAL && s->config->nservers > 0 &&
	    (s->listener->flags & (LISTENER_SUBMIT | LISTENER_NO_RDNS)) == 0)
		s->caller = caller_ref(&s->client);
}

static void
greet(struct session *s)
{
	char greeting[300];

	snprintf(greeting, sizeof(greeting), "220 %s ESMTP postern",
	    session_hostname(s));
	session_say(s, greeting);
	await_command(s);
}

struct session *
session_new(const struct session_args *a)
{
	struct session *s = xcalloc(1, sizeof(*s));
	char text[ADDR_TEXT_MAX];

	s->loop = a->loop;
	s->config = config_ref(a->config);
	s->listener = a->listener;
	s->listener_name = a->listener_name;
	s->client = s->peer = a->client;
	s->client_text = xstrdup(addr_format(&a->client, text));
	s->port = a->port;
	s->uid = a->uid;
	s->counted = a->counted;
	s->ticket = a->ticket;
	s->begin_ms = clock_mono_ms();
	id_new(clock_wall_ms(), s->id);
	s->log = (struct log_ctx){ NULL, "session", s->id };
	deferred_init(&s->after, on_after, s);
	TAILQ_INSERT_TAIL(&sessions, s, entry);
	nsessions++;
	stats_add(STAT_SESSIONS, 1);
	stats_add(STAT_CONNECTIONS, 1);
	s->stream = stream_new(a->loop, a->fd, false, &ops, s);
	log_connect(s);
	/* Before we said a word (RFC 5321 4.3.1). */
	if (session_has_input(s)) {
		line_end_early(
		    s, "early-talker", "554 5.5.1 The server speaks first");
		return s;
	}
	ask_who_calls(s);
	if (filtering_has(filtering_set(s->listener, &s->client), false))
		command_begin_open(s);
	else
		greet(s);
	return s;
}

void
session_say(struct session *s, const char *reply)
{
	if (s->stream == NULL || s->broken)
		return;
	stream_write(s->stream, reply, strlen(reply));
	stream_write(s->stream, "\r\n", 2);
}

void
session_command_done(struct session *s, bool was_waiting)
{
	if (s->state == SESSION_GONE)
		return;
	session_enter(s, SESSION_COMMAND);
	if (stopping && s->tx == NULL) {
		session_end(s, stopping_reply, "stopping");
		return;
	}
	await_command(s);
	if (was_waiting)
		stream_resume(s->stream);
	/* Runs behind what the stream still has for us. */
	if (s->ended)
		loop_after(s->loop, &s->after);
}

/* --- all of them --- */

void
sessions_stop(void (*fn)(void))
{
	struct session *s, *next;

	stopping = true;
	on_empty = fn;
	for (s = TAILQ_FIRST(&sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (s->tx == NULL && s->command == NULL)
			session_end(s, stopping_reply, "stopping");
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
			session_say(s, stopping_reply);
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

void
sessions_restart(void)
{
	stopping = false;
	on_empty = NULL;
}
