#include "delivery/agent.h"

#include <errno.h>
#include <string.h>

#include "delivery/conn.h"
#include "delivery/idle.h"
#include "delivery/result.h"
#include "delivery/smtp_client.h"
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
		.unreachable = !w->talked && !w->no_contact,
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

static const char *
helo_of(const struct work *w)
{
	const struct action *a =
	    config == NULL ? NULL :
			     config_find_action(config, str_of(w->action));

	if (a != NULL && a->helo != NULL)
		return a->helo;
	return config == NULL ? "localhost" : config->hostname;
}

static void on_ready(struct conn *c);
static void on_lost(struct conn *c, const struct verdict *why, bool hop_failed);

static const struct conn_ops conn_ops = { on_ready, on_lost };

/* Connects for w. 0, or -1 and its failure is set. */
static int
connect_for(struct work *w, const struct hop_addr *at)
{
	struct deliver_numbers numbers;
	struct verdict v = { 0 };
	struct conn *c;

	config_deliver_numbers(config, str_of(w->domain), &numbers);
	c = conn_open(loop, at, helo_of(w), &numbers, &conn_ops);
	if (c == NULL) {
		verdict_set(&v,
		    errno == EMFILE || errno == ENFILE ? "4.3.2" : "4.4.1",
		    "connect: %s", strerror(errno));
		hop_format(at, v.relay);
		work_set_failure(w, &v);
		return -1;
	}
	c->may_be_ours = hop_may_be_ours(at, config);
	c->work = w;
	w->conn = c;
	return 0;
}

/* An idle connection to there goes on with w. 0, or -1: there is none. */
static int
take_idle(struct work *w, const struct hop_addr *at)
{
	struct conn *c = idle_take(at, helo_of(w));

	if (c == NULL)
		return -1;
	config_deliver_numbers(config, str_of(w->domain), &c->numbers);
	c->work = w;
	c->reused = true;
	c->heard = false;
	w->conn = c;
	w->talked = true;
	if (client_begin(c) == -1) {
		release(c);
		finish(w);
	}
	return 0;
}

static void
on_ready(struct conn *c)
{
	struct work *w = c->work;
	struct hop_addr at = c->hop->at;
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
	else if (connect_for(w, &at) == -1)
		next_hop(w);
}

static void
on_lost(struct conn *c, const struct verdict *why, bool hop_failed)
{
	struct work *w = c->work;
	/* A kept connection that the server had closed already says nothing
	 * about it. */
	bool stale = c->reused && !c->heard;

	c->work = NULL;
	if (hop_failed)
		hop_set_dead(c->hop, loop_now_ms(loop));
	if (w == NULL)
		return;
	w->conn = NULL;
	if (w->nopen == 0) {
		finish(w);
		return;
	}
	if (stale && !hop_failed && connect_for(w, &c->hop->at) == 0)
		return;
	work_set_failure(w, why);
	next_hop(w);
}

/* --- next hops --- */

/* The next one to try, in their order, the dead ones last; -1: none. */
static int
pick_hop(const struct work *w)
{
	int dead = -1;

	for (size_t i = 0; i < w->nhops; i++) {
		if (w->tried & (UINT32_C(1) << i))
			continue;
		if (!hop_is_dead(&w->hops[i], loop_now_ms(loop)))
			return (int)i;
		if (dead == -1)
			dead = (int)i;
	}
	return dead;
}

static void
next_hop(struct work *w)
{
	int i;

	while ((i = pick_hop(w)) != -1) {
		w->tried |= UINT32_C(1) << i;
		w->no_contact = false;
		if (take_idle(w, &w->hops[i]) == 0 ||
		    connect_for(w, &w->hops[i]) == 0)
			return;
	}
	give_up(w);
}

/* Leaves out what is no next hop; says why when nothing is left. */
static void
check_hops(struct work *w)
{
	struct verdict v = { 0 };
	size_t nbad, kept = 0;

	w->nhops = hops_parse(str_of(w->hops_text), w->hops, &nbad);
	if (nbad > 0)
		verdict_set(&v, "4.3.5", "the next hop is not smtp://ADDRESS");
	else
		verdict_set(
		    &v, "4.4.4", "there is no next hop for %s", w->domain);
	for (size_t i = 0; i < w->nhops; i++) {
		if (!hop_is_ours(&w->hops[i], config)) {
			w->hops[kept++] = w->hops[i];
			continue;
		}
		verdict_set(&v, "5.4.6",
		    "mail loop: the next hop is this gateway itself");
		hop_format(&w->hops[i], v.relay);
	}
	w->nhops = kept;
	w->no_contact = true;
	if (kept == 0)
		work_set_failure(w, &v);
}

void
agent_add(struct work *w)
{
	TAILQ_INSERT_TAIL(&works, w, entry);
	nworks++;
	check_hops(w);
	next_hop(w);
}

/* --- the agent itself --- */

void
agent_init(struct loop *l)
{
	loop = l;
	stopped = NULL;
	deferred_init(&last_words, on_last_words, NULL);
}

void
agent_set_config(struct config *c)
{
	struct config *old = config;

	config = config_ref(c);
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
		{ NULL, 0 },
	};

	counters[0].value = conn_count();
	counters[1].value = conn_total();
	counters[2].value = result_count(OUTCOME_DELIVERED);
	counters[3].value = result_count(OUTCOME_DEFERRED);
	counters[4].value = result_count(OUTCOME_FAILED);
	return counters;
}
