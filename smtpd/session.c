/*
 * The life of a connection. What input and a timeout mean in each state
 * stands in one table at the end of the first half; how long each waits, in
 * patience.c; what comes before the first command, in opening.c.
 */
#include "smtpd/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "smtpd/auth.h"
#include "smtpd/body.h"
#include "smtpd/client_name.h"
#include "smtpd/cmd_bdat.h"
#include "smtpd/cmd_data.h"
#include "smtpd/command.h"
#include "smtpd/filtering.h"
#include "smtpd/greeting.h"
#include "smtpd/limits.h"
#include "smtpd/line_input.h"
#include "smtpd/listing.h"
#include "smtpd/opening.h"
#include "smtpd/patience.h"
#include "smtpd/proxy.h"
#include "smtpd/recorder.h"
#include "smtpd/secure.h"
#include "smtpd/sessions.h"
#include "smtpd/stats.h"
#include "smtpd/tx.h"

enum {
	/* Replies that a client does not read: then we do not read either. */
	UNSENT_MAX = 65536,
	/* Input kept while a command waits, before we stop reading. */
	UNREAD_MAX = 16384,
	/* How long and how much we listen after our last words. */
	LINGER_MS = 2000,
	LINGER_BYTES = 1 << 20
};

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
	filtering_free(&s->filtering);
	body_free(&s->body);
	command_free(&s->command);
	tx_free(&s->tx);
	auth_free(&s->auth);
	listing_free(&s->listing);
	proxy_free(&s->proxy);
	config_unref(&s->config);
	caller_unref(&s->caller);
	recording_free(&s->recording);
	free(s->client_text);
	free(s->helo);
	free(s->user);
	free(s->auth_mech);
	sessions_del(s);
	free(s);
}

void
session_end_tx(struct session *s)
{
	filtering_end_tx(s->filtering);
	body_free(&s->body);
	tx_free(&s->tx);
}

void
session_forget(struct session *s)
{
	session_end_tx(s);
	auth_forget(s);
	free(s->helo);
	s->helo = NULL;
	s->esmtp = false;
}

/* Nobody is asked for this session any more, and nothing of it is kept. */
static void
let_go(struct session *s)
{
	if (s->body != NULL && !s->body->ended)
		recorder_note(s, "content %llu bytes, not the whole",
		    (unsigned long long)s->body->raw);
	filtering_free(&s->filtering);
	auth_free(&s->auth);
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
	recorder_state(s, SESSION_GONE);
	s->state = SESSION_GONE;
	secure_handshake_over(s);
	stream_close(&s->stream);
	stats_sub(STAT_SESSIONS, 1);
	if (s->counted)
		limits_leave(s->listener->slot, s->ticket);
	log_end(s);
	let_go(s);
	recorder_end(s);
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
	stream_finish(s->stream);
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

/* Content or an answer comes in: it waits for more, not for its reply. */
static bool
is_receiving(const struct session *s)
{
	return s->state == SESSION_BODY || s->state == SESSION_CHUNK ||
	       s->state == SESSION_AUTH;
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
	else if (s->state == SESSION_PROXY && proxy_is_done(s)) {
		proxy_free(&s->proxy);
		opening_next(s);
	} else if (s->state == SESSION_CHUNK && bdat_is_whole(s))
		bdat_go_on(s);
	else if (s->ended && (s->command == NULL || is_receiving(s)))
		session_drop(s, s->tx != NULL ? "lost" : "closed");
}

/* --- what input and a timeout mean --- */

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

static void
linger_timeout(struct session *s)
{
	session_drop(s, s->reason);
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

/* clang-format off */
static const struct {
	const char *text;
	size_t (*input)(struct session *s, struct str in);
	void (*timeout)(struct session *s);
} states[] = {
	[SESSION_PROXY] =     { "proxy",     proxy_input,    proxy_timeout },
	[SESSION_HANDSHAKE] = { "handshake", wait_input,     secure_timeout },
	[SESSION_GREETING] =  { "greeting",  greeting_input, greeting_timeout },
	[SESSION_COMMAND] =   { "command",   line_input,     patience_command_over },
	[SESSION_SKIP] =      { "command",   line_skip,      patience_command_over },
	[SESSION_BUSY] =      { "queue",     wait_input,     patience_queue_over },
	[SESSION_NAMING] =    { "rdns",      wait_input,     patience_name_over },
	[SESSION_FILTERING] = { "filters",   wait_input,     patience_filters_over },
	[SESSION_DELAY] =     { "delay",     wait_input,     patience_delay_over },
	[SESSION_LISTING] =   { "dnsbl",     wait_input,     patience_lists_over },
	[SESSION_AUTH] =      { "auth",      auth_input,     auth_timeout },
	[SESSION_VAULT] =     { "vault",     wait_input,     auth_vault_timeout },
	[SESSION_BODY] =      { "data",      data_input,     data_timeout },
	[SESSION_CHUNK] =     { "bdat",      chunk_input,    chunk_timeout },
	[SESSION_LINGER] =    { "closing",   linger_input,   linger_timeout },
	[SESSION_GONE] =      { "gone",      no_input,       no_timeout },
};

/* clang-format on */

void
session_enter(struct session *s, enum session_state state)
{
	recorder_state(s, state);
	s->state = (uint8_t)state;
	patience_begin(s);
}

const char *
session_state_text(const struct session *s)
{
	return states[s->state].text;
}

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
	if (s->broken || s->command == NULL || is_receiving(s))
		session_drop(s, s->broken     ? "reset" :
				s->tx != NULL ? "lost" :
						"closed");
}

static void
on_secure(void *ctx, const struct fault *why)
{
	secure_done(ctx, why);
}

static const struct stream_ops ops = { on_data, on_drained, on_timeout, on_end,
	on_secure };

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

void
session_set_client(struct session *s, const struct addr *client, uint16_t port)
{
	char text[ADDR_TEXT_MAX];

	s->client = *client;
	s->port = port;
	free(s->client_text);
	s->client_text = xstrdup(addr_format(client, text));
}

struct session *
session_new(const struct session_args *a)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->loop = a->loop;
	s->config = config_ref(a->config);
	s->listener = a->listener;
	s->listener_name = a->listener_name;
	s->peer = a->client;
	session_set_client(s, &a->client, a->port);
	s->uid = a->uid;
	s->trusted = a->trusted;
	s->counted = a->counted;
	s->ticket = a->ticket;
	s->begin_ms = clock_mono_ms();
	id_new(clock_wall_ms(), s->id);
	s->log = (struct log_ctx){ NULL, "session", s->id };
	deferred_init(&s->after, on_after, s);
	sessions_add(s);
	stats_add(STAT_SESSIONS, 1);
	stats_add(STAT_CONNECTIONS, 1);
	s->stream = stream_new(a->loop, a->fd, false, &ops, s);
	log_connect(s);
	recorder_note(s, "connected to %s", s->listener_name);
	opening_start(s);
	return s;
}

/* Where the client expects TLS first, and it has not begun. */
static bool
is_mute(const struct session *s)
{
	return (s->listener->flags & LISTENER_SMTPS) != 0 &&
	       s->state != SESSION_HANDSHAKE && !secure_is_on(s);
}

void
session_say(struct session *s, const char *reply)
{
	if (s->stream == NULL || s->broken || is_mute(s))
		return;
	recorder_reply(s, reply);
	stream_write(s->stream, reply, strlen(reply));
	stream_write(s->stream, "\r\n", 2);
}

void
session_command_done(struct session *s, bool was_waiting)
{
	const char *why, *reply;

	if (s->state == SESSION_GONE)
		return;
	session_enter(s, SESSION_COMMAND);
	if (s->state != SESSION_COMMAND)
		return; /* its time is up */
	reply = s->tx == NULL ? sessions_last_word(&why) : NULL;
	if (reply != NULL) {
		session_end(s, reply, why);
		return;
	}
	if (was_waiting)
		stream_resume(s->stream);
	/* Runs behind what the stream still has for us. */
	if (s->ended)
		loop_after(s->loop, &s->after);
}
