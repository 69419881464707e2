/* The exchange between AUTH and its last reply; which mechanisms there are. */
#include "smtpd/auth.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/utf8.h"
#include "lib/mail/base64.h"
#include "lib/net/line.h"
#include "smtpd/auth_mech.h"
#include "smtpd/client_name.h"
#include "smtpd/filtering.h"
#include "smtpd/limits.h"
#include "smtpd/line_input.h"
#include "smtpd/recorder.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

enum { OUT_MAX = 2048 }; /* of one challenge, before base64 */

/* In the order in which they are offered. */
static const struct auth_mech mechs[] = {
	{ "PLAIN", 0, auth_plain_steps, AUTH_PLAIN_STEPS },
	{ "LOGIN", 0, auth_login_steps, AUTH_LOGIN_STEPS },
	{ "SCRAM-SHA-256", LISTENER_SCRAM, auth_scram_steps, AUTH_SCRAM_STEPS },
};

/* clang-format off */
static const struct {
	const char *word, *why; /* for the log */
	const char *reply;
	enum statistic count;
	bool guessed; /* counts as a failure of the source, and is delayed */
	bool close;
} results[AUTH_RESULTS] = {
	[AUTH_OK] =        { "ok",        NULL,              "235 2.7.0 Authentication succeeded", STAT_AUTH_OK, false, false },
	[AUTH_WRONG] =     { "wrong",     "credentials",     "535 5.7.8 Authentication credentials invalid", STAT_AUTH_FAILED, true, false },
	[AUTH_OTHER] =     { "wrong",     "authorization",   "535 5.7.8 Authentication credentials invalid", STAT_AUTH_FAILED, true, false },
	[AUTH_BINDING] =   { "malformed", "channel-binding", "535 5.7.8 Channel binding is not offered", STAT_AUTH_FAILED, false, false },
	[AUTH_MALFORMED] = { "malformed", "syntax",          "501 5.5.2 That is no message of this mechanism", STAT_AUTH_FAILED, false, false },
	[AUTH_ENCODING] =  { "malformed", "base64",          "501 5.5.2 That is not base64", STAT_AUTH_FAILED, false, false },
	[AUTH_CANCELLED] = { "cancelled", "client",          "501 5.7.0 Authentication cancelled", STAT_AUTH_FAILED, false, false },
	[AUTH_FOLLOWED] =  { "malformed", "pipelining",      "503 5.5.1 Nothing may be sent behind AUTH before its reply", STAT_AUTH_FAILED, false, true },
	[AUTH_LIMITED] =   { "limited",   "auth-failures",   AUTH_LIMITED_REPLY, STAT_AUTH_LIMITED, false, false },
	[AUTH_BUSY] =      { "busy",      "vault-busy",      "454 4.7.0 Too many authentications at once, try again later", STAT_AUTH_BUSY, false, false },
	[AUTH_FAULT] =     { "fault",     "vault",           "454 4.7.0 Temporary authentication failure", STAT_AUTH_BUSY, false, false },
	[AUTH_LATE] =      { "fault",     "vault-timeout",   "454 4.7.0 Temporary authentication failure", STAT_AUTH_BUSY, false, false },
};

/* clang-format on */

static const enum auth_result verdicts[] = {
	[VAULT_RIGHT] = AUTH_OK,
	[VAULT_WRONG] = AUTH_WRONG,
	[VAULT_BUSY] = AUTH_BUSY,
	[VAULT_FAULT] = AUTH_FAULT,
};

/* --- offered --- */

static bool
has(const struct listener *l, const struct auth_mech *m)
{
	return (l->flags & m->needs) == m->needs;
}

bool
auth_is_offered(const struct session *s)
{
	const struct listener *l = s->listener;

	return l->auth != NULL && s->user == NULL &&
	       (secure_is_on(s) || (l->flags & LISTENER_AUTH_CLEAR) != 0);
}

void
auth_mechanisms(const struct session *s, struct buf *out)
{
	if (!auth_is_offered(s))
		return;
	for (size_t i = 0; i < sizeof(mechs) / sizeof(mechs[0]); i++)
		if (has(s->listener, &mechs[i]))
			buf_addf(out, "%s%s", i > 0 ? " " : "", mechs[i].name);
}

const struct auth_mech *
auth_find_mech(const struct session *s, struct str name)
{
	for (size_t i = 0; i < sizeof(mechs) / sizeof(mechs[0]); i++)
		if (str_eq_nocase(name, str_of(mechs[i].name)) &&
		    has(s->listener, &mechs[i]))
			return &mechs[i];
	return NULL;
}

/* --- what the mechanisms need --- */

enum auth_turn
auth_fail(struct auth *a, enum auth_result result)
{
	a->result = result;
	return AUTH_OVER;
}

enum auth_turn
auth_set_user(struct auth *a, struct str user)
{
	if (user.len == 0 || memchr(user.p, '\0', user.len) != NULL ||
	    !utf8_is_valid(user))
		return auth_fail(a, AUTH_MALFORMED);
	a->user = str_dup(str_head(user, AUTH_USER_MAX));
	return user.len <= AUTH_USER_MAX ? AUTH_NEXT : auth_fail(a, AUTH_WRONG);
}

struct str
auth_table(const struct auth *a)
{
	return str_of(table_name(a->session->listener->auth));
}

enum auth_turn
auth_asked(struct auth *a, int result, uint64_t id)
{
	if (result < 0)
		return auth_fail(a, AUTH_FAULT);
	a->ask = id;
	a->asked = true;
	return AUTH_ASKING;
}

/* --- its end --- */

void
auth_free(struct auth **ap)
{
	struct auth *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	if (a->asked) {
		from_vault_cancel(a->ask);
		/* A guess it was, though nobody waits for the answer. */
		limits_auth_failed(a->session);
	}
	scram_free(&a->scram);
	buf_clear(&a->out);
	free(a->user);
	free(a);
}

void
auth_forget(struct session *s)
{
	auth_free(&s->auth);
	free(s->user);
	free(s->auth_mech);
	s->user = s->auth_mech = NULL;
	if (s->filtering != NULL)
		filtering_learn_auth(&s->filtering->facts, s);
}

static void
log_result(const struct auth *a)
{
	const struct session *s = a->session;
	const char *why = results[a->result].why;

	log_info(&s->log, "auth",
	    "client=%s rdns=%s user=%s mech=%s result=%s%s%s",
	    log_cstr(s->client_text), log_cstr(caller_text(s->caller)),
	    log_cstr(a->user != NULL ? a->user : ""), log_cstr(a->mech->name),
	    log_cstr(results[a->result].word), why != NULL ? " why=" : "",
	    why != NULL ? log_cstr(why) : "");
	recorder_note(a->session, "auth %s %s: %s%s%s", a->mech->name,
	    a->user != NULL ? a->user : "", results[a->result].word,
	    why != NULL ? ", " : "", why != NULL ? why : "");
}

void
auth_accept(struct session *s, const char *user, const char *mech)
{
	s->user = xstrdup(user);
	for (char *p = s->user; *p != '\0'; p++)
		*p = chr_lower(*p);
	s->auth_mech = xstrdup(mech);
	if (s->filtering != NULL)
		filtering_learn_auth(&s->filtering->facts, s);
}

/* The reply, and the exchange is over. */
static enum stage
reply(struct session *s)
{
	struct auth *a = s->auth;
	struct command *c = s->command;
	enum auth_result r = a->result;

	log_result(a);
	stats_add(results[r].count, 1);
	if (r == AUTH_OK)
		auth_accept(s, a->user, a->mech->name);
	auth_free(&s->auth);
	c->close = results[r].close;
	if (r == AUTH_OK)
		return command_answer(c, results[r].reply);
	return command_refuse(c, results[r].why, results[r].reply);
}

/* Whoever guesses has to wait for each answer. */
static bool
is_delayed(struct auth *a)
{
	struct session *s = a->session;
	uint64_t ms = s->config->limits.auth_delay;

	if (!results[a->result].guessed || a->is_over)
		return false;
	limits_auth_failed(s);
	a->is_over = true;
	return ms > 0;
}

/* --- from step to step --- */

static const struct auth_step *
step_of(const struct auth *a)
{
	return &a->mech->steps[a->step];
}

/* Says what the present step says; the client's line is awaited. */
static enum stage
challenge(struct auth *a)
{
	const char *text = step_of(a)->challenge;
	struct session *s = a->session;
	struct buf b;

	buf_init(&b, (size_t)OUT_MAX * 2);
	buf_add_str(&b, STR("334 "));
	base64_encode(text != NULL ? str_of(text) : buf_str(&a->out), &b);
	buf_reset(&a->out);
	buf_add_char(&b, '\0');
	session_say(s, b.p);
	buf_clear(&b);
	session_enter(s, SESSION_AUTH);
	stream_resume(s->stream);
	/* Runs behind what the stream still has for us. */
	if (s->ended)
		loop_after(s->loop, &s->after);
	return STAGE_WAITING;
}

enum stage
auth_challenge(struct session *s)
{
	return challenge(s->auth);
}

static enum stage
settle(struct auth *a, enum auth_turn turn)
{
	struct session *s = a->session;

	switch (turn) {
	case AUTH_NEXT:
		if (++a->step < a->mech->nsteps)
			return challenge(a);
		a->result = AUTH_OK;
		break;
	case AUTH_ASKING:
		session_enter(s, SESSION_VAULT);
		return STAGE_WAITING;
	case AUTH_OVER:
		if (!is_delayed(a))
			break;
		session_enter(s, SESSION_VAULT);
		stream_deadline(s->stream, s->config->limits.auth_delay);
		return STAGE_WAITING;
	}
	return reply(s);
}

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_clear(b);
}

enum stage
auth_take(struct session *s, struct str line, bool followed)
{
	struct auth *a = s->auth;
	const struct auth_step *step = step_of(a);
	enum auth_turn turn;
	struct buf in;

	buf_init(&in, AUTH_LINE_MAX);
	/* Of its size at once: nothing is left behind where it grew. */
	if (line.len > 0)
		buf_reserve(&in, line.len);
	if (str_eq(line, STR("*")))
		turn = auth_fail(a, AUTH_CANCELLED);
	else if (base64_decode(line, &in) < 0)
		turn = auth_fail(a, AUTH_ENCODING);
	else if (followed && step->is_last)
		turn = auth_fail(a, AUTH_FOLLOWED);
	else if (limits_auth_is_over(s))
		/* By now: on other connections that had begun, too. */
		turn = auth_fail(a, AUTH_LIMITED);
	else
		turn = step->line(a, buf_str(&in));
	wipe(&in);
	return settle(a, turn);
}

void
auth_begin(struct session *s, const struct auth_mech *m)
{
	struct auth *a = s->auth = xcalloc(1, sizeof(*a));

	a->session = s;
	a->mech = m;
	buf_init(&a->out, OUT_MAX);
}

void
auth_answered(void *ctx, const struct vault_answer *v)
{
	struct auth *a = ctx;
	struct session *s = a->session;
	enum auth_turn turn = AUTH_NEXT;

	a->asked = false;
	if (v->verdict != VAULT_RIGHT)
		turn = auth_fail(a, verdicts[v->verdict]);
	else if (step_of(a)->answer != NULL)
		step_of(a)->answer(a, v);
	if (settle(a, turn) == STAGE_ANSWERED)
		command_done(s->command);
	else if (s->state == SESSION_AUTH)
		stream_resume(s->stream);
}

/* --- for the table of states --- */

size_t
auth_input(struct session *s, struct str in)
{
	struct str line;
	size_t used;

	stream_wipe(s->stream);
	switch (line_next(in, AUTH_LINE_MAX, &line, &used)) {
	case LINE_MORE:
		break;
	case LINE_OK:
		recorder_secret(s);
		if (auth_take(s, line, used < in.len) == STAGE_ANSWERED)
			command_done(s->command);
		break;
	case LINE_BARE:
		line_end_early(s, "bare-newline",
		    "500 5.5.2 Lines end with CR LF and hold no other CR, LF "
		    "or NUL");
		break;
	case LINE_LONG:
		line_end_early(
		    s, "line-too-long", "500 5.5.6 Line is too long");
		break;
	}
	return used;
}

void
auth_timeout(struct session *s)
{
	stats_add(STAT_TIMEOUTS, 1);
	session_end(s, "421 4.4.2 Timeout", "timeout");
}

void
auth_vault_timeout(struct session *s)
{
	struct auth *a = s->auth;

	if (!a->is_over) {
		from_vault_cancel(a->ask);
		a->asked = false;
		a->result = AUTH_LATE;
	}
	reply(s);
	command_done(s->command);
}
