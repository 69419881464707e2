#include "delivery/agent.h"

#include <string.h>

#include "delivery/bind_addr.h"
#include "delivery/conn.h"
#include "delivery/from_dialer.h"
#include "delivery/idle.h"
#include "delivery/policy.h"
#include "delivery/race.h"
#include "delivery/result.h"
#include "delivery/smtp_client.h"
#include "delivery/sts.h"
#include "delivery/tls_tally.h"
#include "delivery/way_walk.h"
#include "lib/base/log.h"
#include "lib/mail/envelope.h"

static struct loop *loop;
static struct config *config;
static struct work_list works = TAILQ_HEAD_INITIALIZER(works);
static size_t nworks;
static void (*stopped)(void); /* not NULL: stopping */
static struct deferred last_words;

/* How connections were secured, since the start. */
enum secured {
	SECURED_NOT,
	SECURED_UNVERIFIED,
	SECURED_VERIFIED,
	SECURED_DANE,
	SECURED_WAYS
};

static uint64_t secured[SECURED_WAYS], nresumed, nfallbacks;

static void next_hop(struct work *w);

/* --- the end of a work --- */

static void
on_last_words(void *ctx)
{
	struct conn *c, *next;

	(void)ctx;
	if (nworks > 0)
		return;
	/* Their QUIT leaves now; nobody waits for the answer. */
	TAILQ_FOREACH_SAFE(c, conn_all(), entry, next)
		conn_close(c);
	tls_tally_flush();
	stopped();
}

static void
finish(struct work *w)
{
	uint64_t ms = loop_now_ms(loop) - w->begun_ms;
	struct tell_done m = {
		.unreachable = !w->talked && w->walk.reached_out,
		.ms = ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms,
	};

	if (w->queue != NULL)
		(void)channel_tell(w->queue, TYPE_tell_done, &m, w->id);
	TAILQ_REMOVE(&works, w, entry);
	nworks--;
	work_free(&w);
	if (stopped != NULL)
		loop_after(loop, &last_words);
}

/* No next hop is left: the last failure is everyone's. */
static void
give_up(struct work *w)
{
	if (w->failure != NULL)
		result_tell_all(w, TO_OPEN, w->failure);
	finish(w);
}

/* --- a connection for a work --- */

/* Done with this work: the connection is kept, or has served enough. */
static void
release(struct conn *c)
{
	c->work = NULL;
	if (stopped != NULL || c->numbers.idle_timeout == 0 ||
	    client_is_used_up(c))
		client_quit(c);
	else
		idle_add(c);
}

static void on_ready(struct conn *c);
static void on_lost(struct conn *c, const struct verdict *why, enum lost how);

static const struct conn_ops conn_ops = { on_ready, on_lost };

static struct place
place_of(const struct conn *c)
{
	return (struct place){ .at = c->hop->at,
		.host = c->host,
		.policy = c->policy,
		.source = c->source };
}

/* Begins to connect for w. 0, or -1 and its failure is set. */
static int
reach(struct work *w, const struct place *place)
{
	struct deliver_numbers numbers;
	struct verdict v = { 0 };

	config_deliver_numbers(config, str_of(w->domain), &numbers);
	if (race_add(w, place, numbers.connect_timeout, &v) == 0)
		return 0;
	work_set_failure(w, &v);
	return -1;
}

/* An idle connection to there goes on with w, which connects nowhere else any
 * more. 0, or -1: there is none. */
static int
take_idle(struct work *w, const struct place *place)
{
	struct conn *c = idle_take(place);

	if (c == NULL)
		return -1;
	config_deliver_numbers(config, str_of(w->domain), &c->numbers);
	if (client_is_used_up(c)) {
		client_quit(c);
		return -1;
	}
	conn_set_host(c, place->host);
	race_leave(w);
	c->work = w;
	c->reused = true;
	c->heard = false;
	w->conn = c;
	if (client_begin(c) == -1) {
		w->talked = true;
		release(c);
		finish(w);
	}
	return 0;
}

/* A place as good as those under way, beside them, or a connection to one
 * instead of them. 0, or -1: there is none. */
static int
reach_beside(struct work *w)
{
	struct place place;

	while (walk_next_beside(w, config, &place))
		if (take_idle(w, &place) == 0 || reach(w, &place) == 0)
			return 0;
	return -1;
}

/* --- the race for a connection --- */

/* A slow one comes last for a while, as if it had failed: nobody else has to
 * wait for it. */
static void
on_left(struct work *w, const struct place *place, bool slow)
{
	if (slow)
		hop_mark_dead(&place->at, loop_now_ms(loop));
	walk_give_back(&w->walk, place);
}

static void
on_won(struct work *w, const struct place *place, int fd)
{
	struct deliver_numbers numbers;
	struct conn *c;

	config_deliver_numbers(config, str_of(w->domain), &numbers);
	c = conn_new(loop, &place->at, fd, place->policy, &numbers, &conn_ops);
	conn_set_host(c, place->host);
	c->source = place->source;
	c->in_clear = place->in_clear;
	c->may_be_ours = hop_may_be_ours(&place->at, config);
	c->work = w;
	w->conn = c;
}

static void
on_failed(struct work *w, const struct place *place, const struct verdict *why)
{
	hop_mark_dead(&place->at, loop_now_ms(loop));
	work_set_failure(w, why);
	if (reach_beside(w) == -1 && !race_is_on(w))
		next_hop(w);
}

static void
on_slow(struct work *w)
{
	(void)reach_beside(w);
}

static const struct race_ops race_ops = {
	.on_left = on_left,
	.on_won = on_won,
	.on_failed = on_failed,
	.on_slow = on_slow,
};

/* --- connections --- */

static void
count_secured(const struct conn *c)
{
	const struct tls *t = stream_tls(c->stream);
	struct tls_info info;

	if (t == NULL) {
		secured[SECURED_NOT]++;
		return;
	}
	tls_info(t, &info);
	nresumed += info.resumed;
	secured[c->proven == TLS_PROOF_DANE ? SECURED_DANE :
		c->proven == TLS_PROOF_NAME ? SECURED_VERIFIED :
					      SECURED_UNVERIFIED]++;
}

static void
on_ready(struct conn *c)
{
	struct work *w = c->work;
	struct place place = place_of(c);

	hop_set_alive(c->hop);
	if (c->nmessages == 0 && !c->reused)
		count_secured(c);
	if (w == NULL) {
		release(c);
		return;
	}
	w->talked = true;
	if (w->nopen > 0 && !client_is_used_up(c) && client_begin(c) == 0)
		return;
	w->conn = NULL;
	release(c);
	if (w->nopen == 0)
		finish(w);
	else if (reach(w, &place) == -1)
		next_hop(w);
}

/* Once more to the same place in the clear: only where nobody demands more
 * (RFC 7435), and where the handshake itself has failed. */
static int
reach_in_clear(struct work *w, const struct conn *c, struct place *place)
{
	if (c->in_clear || c->policy->level != SECURE_MAY)
		return -1;
	place->in_clear = true;
	if (reach(w, place) == -1)
		return -1;
	nfallbacks++;
	return 0;
}

/* Why w's next hop is given up. That none can be secured is for ever only when
 * the mail wants it to be (RFC 8689 5). */
static void
note_failure(struct work *w, const struct conn *c, const struct verdict *why,
    enum lost how)
{
	struct verdict v = *why;

	if (how == LOST_TLS && c->policy->require_tls) {
		v.outcome = OUTCOME_FAILED;
		v.status = (struct status){ 5, 7, 30 };
	}
	work_set_failure(w, &v);
}

static void
on_lost(struct conn *c, const struct verdict *why, enum lost how)
{
	struct work *w = c->work;
	struct place place = place_of(c);
	/* A kept connection that the server had closed already says nothing
	 * about it. */
	bool stale = c->reused && !c->heard;

	c->work = NULL;
	if (how == LOST_HOP)
		hop_set_dead(c->hop, loop_now_ms(loop));
	if (w == NULL)
		return;
	w->conn = NULL;
	w->talked = w->talked || (c->reused && c->heard);
	if (w->nopen == 0) {
		finish(w);
		return;
	}
	if (stale && how == LOST_LINE && reach(w, &place) == 0)
		return;
	if (how == LOST_TLS && reach_in_clear(w, c, &place) == 0)
		return;
	if (c->is_ours)
		walk_is_ours(&w->walk);
	note_failure(w, c, why, how);
	next_hop(w);
}

/* --- next hops --- */

static void
next_hop(struct work *w)
{
	struct place place;

	for (;;) {
		switch (walk_next(w, config, &place)) {
		case WALK_PLACE:
			if (take_idle(w, &place) == 0 || reach(w, &place) == 0)
				return;
			break;
		case WALK_WAIT:
			return;
		case WALK_END:
			give_up(w);
			return;
		}
	}
}

void
agent_add(struct work *w)
{
	const struct action *a =
	    config == NULL ? NULL :
			     config_find_action(config, str_of(w->action));

	TAILQ_INSERT_TAIL(&works, w, entry);
	nworks++;
	w->vrfy = a != NULL && a->vrfy;
	walk_begin(w);
	next_hop(w);
}

/* --- the agent itself --- */

void
agent_init(struct loop *l)
{
	loop = l;
	stopped = NULL;
	routes_init(l);
	walk_init(l, next_hop);
	race_init(l, &race_ops);
	from_dialer_init(l);
	sts_init(l);
	tls_tally_init(l);
	deferred_init(&last_words, on_last_words, NULL);
}

void
agent_set_config(struct config *c)
{
	struct config *old = config;

	config = config_ref(c);
	routes_clear(); /* who we are was left out of them */
	policies_clear();
	bind_addr_set_config(c);
	tls_tally_set_config(c);
	if (old != NULL)
		config_unref(&old);
}

size_t
agent_count(void)
{
	return nworks;
}

void
agent_drop_all(void)
{
	struct work *w;

	while ((w = TAILQ_FIRST(&works)) != NULL) {
		w->queue = NULL;
		if (w->conn != NULL) {
			w->conn->work = NULL;
			conn_abort(w->conn);
		}
		finish(w);
	}
}

void
agent_stop(void (*done)(void))
{
	stopped = done;
	idle_quit_all();
	loop_after(loop, &last_words);
}

const struct counter *
agent_counters(void)
{
	static struct counter counters[] = {
		{ "delivery.connections", 0 },
		{ "delivery.connects", 0 },
		{ "delivery.delivered", 0 },
		{ "delivery.deferred", 0 },
		{ "delivery.bounced", 0 },
		{ "delivery.routes", 0 },
		{ "delivery.route_questions", 0 },
		{ "delivery.tls_none", 0 },
		{ "delivery.tls_unverified", 0 },
		{ "delivery.tls_verified", 0 },
		{ "delivery.tls_dane", 0 },
		{ "delivery.tls_resumed", 0 },
		{ "delivery.tls_fallbacks", 0 },
		{ NULL, 0 },
	};

	counters[0].value = conn_count();
	counters[1].value = race_total();
	counters[2].value = result_count(OUTCOME_DELIVERED);
	counters[3].value = result_count(OUTCOME_DEFERRED);
	counters[4].value = result_count(OUTCOME_FAILED);
	counters[5].value = routes_count();
	counters[6].value = from_resolver_total();
	for (size_t i = 0; i < SECURED_WAYS; i++)
		counters[7 + i].value = secured[i];
	counters[11].value = nresumed;
	counters[12].value = nfallbacks;
	return counters;
}
