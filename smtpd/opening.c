/* THE STEPS before the first command. */
#include "smtpd/opening.h"

#include <stdio.h>

#include "smtpd/client_name.h"
#include "smtpd/command.h"
#include "smtpd/entrance.h"
#include "smtpd/filtering.h"
#include "smtpd/greeting.h"
#include "smtpd/line_input.h"
#include "smtpd/listing.h"
#include "smtpd/proxy.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"

enum step {
	STEP_GO,   /* on to the next */
	STEP_WAIT, /* opening_next comes, or the end */
	STEP_ENDED /* the session has */
};

/* Nothing is known of the client before; nothing behind the header is read,
 * which may be TLS. */
static enum step
await_proxy(struct session *s)
{
	if (!proxy_is_due(s->listener, &s->peer))
		return STEP_GO;
	proxy_start(s);
	return STEP_WAIT;
}

/* Who has no header, and is as it seems, was asked when it was accepted. */
static enum step
enter(struct session *s)
{
	if (!s->proxied && !s->renamed)
		return STEP_GO;
	return entrance_again(s) ? STEP_GO : STEP_ENDED;
}

static enum step
handshake(struct session *s)
{
	const char *why;

	if ((s->listener->flags & LISTENER_SMTPS) == 0)
		return STEP_GO;
	why = secure_start(s);
	if (why == NULL)
		return STEP_WAIT;
	/* It expects TLS: there are no words for it. */
	line_end_early(s, why, NULL);
	return STEP_ENDED;
}

/* Before we said a word (RFC 5321 4.3.1). */
static enum step
listen_first(struct session *s)
{
	if (!greeting_is_disturbed(s))
		return STEP_GO;
	line_end_early(s, "early-talker", GREETING_EARLY_REPLY);
	return STEP_ENDED;
}

/* Without waiting for the answers. */
static enum step
ask_who_calls(struct session *s)
{
	const struct listener *l = s->listener;

	if (!s->named) {
		caller_unref(&s->caller);
		if (s->client.family != ADDR_LOCAL && s->config->nservers > 0 &&
		    (l->flags & (LISTENER_SUBMIT | LISTENER_NO_RDNS)) == 0)
			s->caller = caller_ref(&s->client);
		s->name_late = false;
	}
	listing_free(&s->listing);
	s->listing = listing_ask(s);
	s->lists_late = false;
	return STEP_GO;
}

static enum step
hold_back(struct session *s)
{
	return greeting_hold_back(s) ? STEP_WAIT : STEP_GO;
}

static enum step
greet(struct session *s)
{
	char greeting[300];

	if (filtering_has(filtering_set(s->listener, &s->client), false)) {
		command_begin_open(s);
		return STEP_WAIT;
	}
	snprintf(greeting, sizeof(greeting), "220 %s ESMTP postern",
	    session_hostname(s));
	session_say(s, greeting);
	session_command_done(s, true);
	return STEP_WAIT;
}

static const struct {
	enum step (*enter)(struct session *s);
	bool again; /* also after XCLIENT */
} steps[] = {
	{ await_proxy, false },
	{ enter, true },
	{ handshake, false },
	{ listen_first, false },
	{ ask_who_calls, true },
	{ hold_back, false },
	{ greet, true },
};

static void
go_on(struct session *s)
{
	for (; s->step < sizeof(steps) / sizeof(steps[0]); s->step++) {
		if (s->renamed && !steps[s->step].again)
			continue;
		if (steps[s->step].enter(s) != STEP_GO)
			return;
	}
}

void
opening_start(struct session *s)
{
	go_on(s);
}

void
opening_next(struct session *s)
{
	s->step++;
	go_on(s);
}

void
opening_again(struct session *s)
{
	s->renamed = true;
	s->step = 0;
	go_on(s);
}
