/* Questions to the filters of a session, and their answers. */
#include "smtpd/filtering.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "smtpd/admission.h"
#include "smtpd/client_name.h"
#include "smtpd/cmd_data.h"
#include "smtpd/content.h"
#include "smtpd/policy.h"
#include "smtpd/recorder.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"
#include "smtpd/tx.h"

/* --- which --- */

bool
filtering_has(const struct milter_set *set, bool phase_queue)
{
	if (set == NULL)
		return false;
	for (size_t i = 0; i < set->n; i++)
		if (set->members[i].milter->after_queue == phase_queue)
			return true;
	return false;
}

/* Nothing of this client on this listener is shown to filters. */
static bool
is_excepted(const struct listener *l, const struct addr *client)
{
	return (l->flags & LISTENER_NO_MILTERS) != 0 ||
	       (l->no_milters_from != NULL &&
		   table_find_source(l->no_milters_from, client, NULL));
}

/* `milters { }' is none. */
static const struct milter_set *
unless_excepted(const struct milter_set *set, const struct listener *l,
    const struct addr *client)
{
	return set != NULL && set->n > 0 && !is_excepted(l, client) ? set :
								      NULL;
}

const struct milter_set *
filtering_set(const struct listener *l, const struct addr *client)
{
	return unless_excepted(l->milters, l, client);
}

const struct milter_set *
filtering_rcpt_set(const struct session *s, const struct rule *rule)
{
	const struct listener *l = s->listener;

	return unless_excepted(
	    rule->milters != NULL ? rule->milters : l->milters, l, &s->client);
}

/* --- what they say without being asked, and what they need --- */

/* Of the transaction; of the one that is about to begin; of the session. */
static const struct log_ctx *
log_of(const struct filtering *f)
{
	if (f->session->tx != NULL)
		return &f->session->tx->log;
	return f->tx != NULL ? &f->tx->log : &f->session->log;
}

static void
on_event(void *ctx, const struct milter_event *e)
{
	struct filtering *f = ctx;
	bool in_tx = f->session->tx != NULL || f->tx != NULL;

	recorder_note(f->session, "filter %s %s: %s, %llu ms%s%s%s", e->filter,
	    milter_stage_name(e->stage), milter_verdict_name(e->verdict),
	    (unsigned long long)(e->us / 1000), e->shadow ? ", shadow" : "",
	    e->fault != NULL ? ", failed: " : "",
	    e->fault != NULL ? e->fault : "");
	mail_events_add_milter(in_tx ? &f->events : NULL, log_of(f), e);
}

static void
on_answer(void *ctx, const struct milter_answer *a)
{
	struct filtering *f = ctx;
	struct command *c = f->session->command;

	f->answer = *a;
	f->answered = true;
	if (f->session->body != NULL)
		data_filtered(c);
	else
		command_resume(c);
}

static void
on_body_file(void *ctx, struct content *c, bool ok)
{
	struct filtering *f = ctx;

	milters_body_ready(f->milters, c, ok);
}

static void *
body_make(void *ctx, uint64_t max)
{
	return content_new(max, on_body_file, ctx);
}

static const struct milter_ops ops = {
	.on_answer = on_answer,
	.on_event = on_event,
	.body_new = body_make,
	.body_add = content_body_add,
	.body_free = content_body_free,
	.body_show = content_body_show,
};

/* --- its life --- */

/* The address that the client came to. */
static const struct addr *
local_addr(const struct session *s, struct addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	uint16_t port;

	/* What PROXY or XCLIENT says. */
	if (s->local.family != ADDR_NONE) {
		*a = s->local;
		return a;
	}
	memset(&ss, 0, sizeof(ss));
	if (s->client.family == ADDR_LOCAL || s->stream == NULL ||
	    getsockname(stream_fd(s->stream), (struct sockaddr *)&ss, &len) !=
		0 ||
	    ss.ss_family == AF_UNIX)
		return NULL;
	addr_from_sockaddr((const struct sockaddr *)&ss, len, a, &port);
	return a;
}

void
filtering_learn(struct facts *f, const struct session *s)
{
	struct addr local;

	facts_init(f);
	facts_set_gateway(f, str_of(session_hostname(s)),
	    str_of(s->listener->tag), str_of(s->listener_name),
	    local_addr(s, &local));
	facts_set_client(f, &s->client, s->port, policy_name_state(s),
	    caller_ptr(s->caller));
	if (s->helo != NULL)
		facts_set_helo(f, str_of(s->helo));
	secure_learn(s, f);
	if (s->user != NULL)
		filtering_learn_auth(f, s);
	if (s->tx != NULL)
		filtering_learn_mail(f, s->tx);
}

void
filtering_learn_auth(struct facts *f, const struct session *s)
{
	facts_set_auth(f, str_of(s->auth_mech), str_of(s->user),
	    s->user != NULL ? f->m.cipher_bits : STR(""));
}

void
filtering_learn_mail(struct facts *f, const struct tx *tx)
{
	f->m.smtputf8 = tx->params.smtputf8;
	facts_set_mail(
	    f, str_of(tx->msgid), tx->written, tx->args, str_of(tx->from));
}

struct filtering *
filtering_need(struct session *s)
{
	struct filtering *f = s->filtering;

	if (f != NULL)
		return f;
	f = s->filtering = xcalloc(1, sizeof(*f));
	f->session = s;
	f->set = filtering_set(s->listener, &s->client);
	mail_events_init(&f->events);
	filtering_learn(&f->facts, s);
	f->milters = milters_new(s->loop, s->config, &f->facts.m, &ops, f);
	milters_choose(f->milters, f->set, false);
	return f;
}

/* What belonged to one transaction. */
static void
forget(struct filtering *f)
{
	tx_free(&f->tx);
	f->facts.m.smtputf8 = false;
	mail_events_clear(&f->events);
	f->asked = f->answered = f->judged = false;
	if (f->counted)
		admission_leave(admission());
	f->counted = false;
}

void
filtering_free(struct filtering **fp)
{
	struct filtering *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	milters_free(&f->milters);
	forget(f);
	facts_clear(&f->facts);
	free(f->stored);
	free(f);
}

void
filtering_end_tx(struct filtering *f)
{
	if (f == NULL)
		return;
	if (f->judged)
		milters_end_message(f->milters);
	else
		milters_abort(f->milters);
	forget(f);
}

int
filtering_count(struct filtering *f)
{
	const struct addr *client = &f->session->client;

	if (f->counted)
		return 0;
	if (admission_enter(
		admission(), admission_is_known(client), clock_mono_ms()) < 0)
		return -1;
	f->counted = true;
	return 0;
}

/* --- questions --- */

enum stage
filtering_refuse(struct command *c, const struct milter_answer *a)
{
	if (a->verdict == MILTER_SHUTDOWN)
		c->close = true;
	/* What it views lives until the next question only. */
	command_answerf(
	    c, "%s", a->reply != NULL ? a->reply : "451 4.7.1 Try again later");
	c->why = "filter";
	return STAGE_ANSWERED;
}

enum stage
filtering_ask(struct filtering *f, struct command *c, enum milter_stage stage)
{
	if (!f->asked) {
		f->asked = true;
		f->answered = milters_ask(f->milters, stage, &f->answer);
	}
	if (!f->answered) {
		c->wait_state = SESSION_FILTERING;
		return STAGE_WAITING;
	}
	f->asked = f->answered = false;
	switch (f->answer.verdict) {
	case MILTER_ACCEPT:
	case MILTER_CONTINUE:
	case MILTER_QUARANTINE:
	case MILTER_DISCARD: /* goes on as if nothing were */
		return STAGE_GO;
	case MILTER_TEMPFAIL:
	case MILTER_REJECT:
	case MILTER_SHUTDOWN:
		break;
	}
	return filtering_refuse(c, &f->answer);
}

void
filtering_tell_refused(struct filtering *f, const struct command *c)
{
	facts_set_refused(&f->facts, c->written, str_of(c->reply));
	milters_tell_refused(f->milters);
}
