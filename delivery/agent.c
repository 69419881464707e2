#include "delivery/agent.h"

#include <errno.h>
#include <string.h>

#include "delivery/conn.h"
#include "delivery/idle.h"
#include "delivery/result.h"
#include "delivery/smtp_client.h"
#include "delivery/way_walk.h"
#include "lib/base/log.h"
#include "lib/mail/envelope.h"

static struct loop *loop;
static struct config *config;
static struct work_list works = TAILQ_HEAD_INITIALIZER(works);
static size_t nworks;
static void (*stopped)(void); /* not NULL: stopping */
static struct deferred last_words;

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

/* --- connections --- */

/* Done with this work: the connection is kept, or has served enough. */
static void
release(struct conn *c)
{
	c->work = NULL;
	if (stopped != NULL || c->numbers.idle_timeout == 0 ||
	    c->nmessages >= c->numbers.messages_per_connection)
		client_quit(c);
	else
		idle_add(c);
}

static const struct action *
action_of(const struct work *w)
{
	return config == NULL ? NULL :
				config_find_action(config, str_of(w->action));
}

static const char *
helo_of(const struct work *w)
{
	const struct action *a = action_of(w);

	if (a != NULL && a->helo != NULL)
		return a->helo;
	return config == NULL ? "localhost" : config->hostname;
}

static void on_ready(struct conn *c);
static void on_lost(struct conn *c, const struct verdict *why, enum lost how);

static const struct conn_ops conn_ops = { on_ready, on_lost };

/* Connects for w. 0, or -1 and its failure is set. */
static int
connect_for(struct work *w, const struct place *place)
{
	struct deliver_numbers numbers;
	struct verdict v = { 0 };
	struct conn *c;

	config_deliver_numbers(config, str_of(w->domain), &numbers);
	c = conn_open(loop, &place->at, helo_of(w), &numbers, &conn_ops);
	if (c == NULL) {
		verdict_set(&v,
		    errno == EMFILE || errno == ENFILE ? "4.3.2" : "4.4.1",
		    "connect: %s", strerror(errno));
		place_format(place, v.relay);
		work_set_failure(w, &v);
		return -1;
	}
	conn_set_host(c, place->host);
	c->may_be_ours = hop_may_be_ours(&place->at, config);
	c->work = w;
	w->conn = c;
	return 0;
}

/* An idle connection to there goes on with w. 0, or -1: there is none. */
static int
take_idle(struct work *w, const struct place *place)
{
	struct conn *c = idle_take(&place->at, helo_of(w));

	if (c == NULL)
		return -1;
	config_deliver_numbers(config, str_of(w->domain), &c->numbers);
	if (c->nmessages >= c->numbers.messages_per_connection) {
		client_quit(c);
		return -1;
	}
	conn_set_host(c, place->host);
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

static void
on_ready(struct conn *c)
{
	struct work *w = c->work;
	struct place place = { c->hop->at, c->host, NULL };
	bool used_up;

	hop_set_alive(c->hop);
	if (w == NULL) {
		release(c);
		return;
	}
	w->talked = true;
	used_up = c->nmessages >= c->numbers.messages_per_connection;
	if (w->nopen > 0 && !used_up && client_begin(c) == 0)
		return;
	w->conn = NULL;
	release(c);
	if (w->nopen == 0)
		finish(w);
	else if (connect_for(w, &place) == -1)
		next_hop(w);
}

static void
on_lost(struct conn *c, const struct verdict *why, enum lost how)
{
	struct work *w = c->work;
	struct place place = { c->hop->at, c->host, NULL };
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
	if (stale && how == LOST_LINE && connect_for(w, &place) == 0)
		return;
	if (c->is_ours)
		walk_is_ours(&w->walk);
	work_set_failure(w, why);
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
			if (take_idle(w, &place) == 0 ||
			    connect_for(w, &place) == 0)
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
	const struct action *a;

	TAILQ_INSERT_TAIL(&works, w, entry);
	nworks++;
	a = action_of(w);
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
	deferred_init(&last_words, on_last_words, NULL);
}

void
agent_set_config(struct config *c)
{
	struct config *old = config;

	config = config_ref(c);
	routes_clear(); /* who we are was left out of them */
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
		{ NULL, 0 },
	};

	counters[0].value = conn_count();
	counters[1].value = conn_total();
	counters[2].value = result_count(OUTCOME_DELIVERED);
	counters[3].value = result_count(OUTCOME_DEFERRED);
	counters[4].value = result_count(OUTCOME_FAILED);
	counters[5].value = routes_count();
	counters[6].value = from_resolver_total();
	return counters;
}
