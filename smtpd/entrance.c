/* The questions at the door, in the order of what they cost. */
#include "smtpd/entrance.h"

#include <stddef.h>

#include "lib/base/clock.h"
#include "smtpd/admission.h"
#include "smtpd/blocks.h"
#include "smtpd/filtering.h"
#include "smtpd/limits.h"
#include "smtpd/line_input.h"
#include "smtpd/session.h"
#include "smtpd/sessions.h"
#include "smtpd/stats.h"
#include "smtpd/stress.h"

/* Each: true when the matter is decided. */
typedef bool question_fn(struct entrance *e, const struct config *c,
    const struct listener *l, const struct addr *client);

/* Nobody is let in now, not even our own users. */
static bool
is_paused(struct entrance *e, const struct config *c, const struct listener *l,
    const struct addr *client)
{
	(void)c;
	(void)l;
	(void)client;
	if (!sessions_are_paused())
		return false;
	e->reply = SESSIONS_PAUSED_REPLY;
	e->why = "paused";
	return true;
}

/* What the administrator said of this source. */
static bool
is_blocked(struct entrance *e, const struct config *c, const struct listener *l,
    const struct addr *client)
{
	(void)l;
	if (client->family == ADDR_LOCAL)
		return false;
	switch (blocks_find(c, client, &e->reply, &e->why)) {
	case BLOCKS_NOTHING:
		return false;
	case BLOCKS_ALLOW:
		e->trusted = true;
		e->reply = e->why = NULL;
		return false;
	case BLOCKS_DENY:
		break;
	}
	stats_add(STAT_BLOCKED, 1);
	e->blocked = true;
	return true;
}

/* There is no room for anybody. Our own users, and who is trusted, are let in
 * as long as descriptors last. */
static bool
is_stressed(struct entrance *e, const struct config *c,
    const struct listener *l, const struct addr *client)
{
	(void)l;
	stress_look(c);
	if (!stress_is_full() || e->trusted || client->family == ADDR_LOCAL)
		return false;
	stats_add(STAT_STRESS_REFUSED, 1);
	e->reply = "421 4.3.2 Too busy, try again later";
	e->why = "stress";
	return true;
}

/* Filters have no time for newcomers. */
static bool
is_filtering_full(struct entrance *e, const struct config *c,
    const struct listener *l, const struct addr *client)
{
	const struct milter_set *set = filtering_set(l, client);
	bool known;

	if (!filtering_has(set, false))
		return false;
	known = admission_is_known(client);
	if (admission_has_room(admission(), known) &&
	    milters_have_room(c, set, known))
		return false;
	admission_refused(admission(), clock_mono_ms());
	e->reply = "421 4.3.2 Too busy, try again later";
	e->why = "filtering-full";
	return true;
}

static bool
is_limited(struct entrance *e, const struct config *c, const struct listener *l,
    const struct addr *client)
{
	e->reply =
	    limits_enter(c, client, l->slot, e->trusted, &e->ticket, &e->why);
	e->counted = e->reply == NULL && limits_are_counting();
	return e->reply != NULL;
}

static question_fn *const questions[] = { is_paused, is_blocked, is_stressed,
	is_filtering_full, is_limited };

void
entrance_ask(struct entrance *e, const struct config *c,
    const struct listener *l, const struct addr *client)
{
	*e = (struct entrance){ .reply = NULL };
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		if (questions[i](e, c, l, client))
			return;
}

void
entrance_ask_balancer(struct entrance *e, const struct config *c,
    const struct listener *l, const struct addr *balancer)
{
	*e = (struct entrance){ .trusted = true };
	if (!is_paused(e, c, l, balancer) && !is_stressed(e, c, l, balancer))
		is_limited(e, c, l, balancer);
	e->trusted = false;
}

bool
entrance_again(struct session *s)
{
	struct entrance e;

	if (s->counted)
		limits_leave(s->listener->slot, s->ticket);
	s->counted = false;
	entrance_ask(&e, s->config, s->listener, &s->client);
	s->trusted = e.trusted;
	s->counted = e.counted;
	s->ticket = e.ticket;
	if (e.reply == NULL)
		return true;
	/* Its log ends later than the words of blocks_find. */
	s->reason = e.blocked ? "blocked" : NULL;
	/* On smtps it expects TLS first: there are no words for it. */
	line_end_early(s, e.why,
	    (s->listener->flags & LISTENER_SMTPS) != 0 && !s->renamed ?
		NULL :
		e.reply);
	return false;
}
