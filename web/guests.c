#include "web/guests.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/log.h"
#include "web/counters.h"

enum { SWEEP_MS = 1000, SHUT_MS = 20 };

struct guest {
	struct bufferevent *bev; /* one reference; NULL: a free place */
	uint64_t since_ms;       /* we wait for it */
	bool has_begun;          /* something of a request came since then */
	bool is_asking;          /* it waits for us, not we for it */
};

static struct {
	struct loop *loop;
	struct evconnlistener *door;
	struct timer *sweep, *shut; /* shut: until the door is tried again */
	struct guest all[GUESTS_MAX];
	uint64_t end_ms; /* when the end began; 0: it has not */
} house;

/* evhttp takes its callbacks off when it is through with one; and puts them
 * on right behind guest_new. */
static bool
is_gone(const struct guest *g)
{
	bufferevent_event_cb on_event;

	bufferevent_getcb(g->bev, NULL, NULL, &on_event, NULL);
	return on_event == NULL;
}

static void
on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *ctx)
{
	struct guest *g = ctx;

	(void)input;
	if (info->n_added > 0)
		g->has_begun = true;
}

static void
let_go(struct guest *g)
{
	evbuffer_remove_cb(bufferevent_get_input(g->bev), on_input, g);
	bufferevent_decref(g->bev);
	*g = (struct guest){ 0 };
}

/* Without a word; evhttp hears that its time is over. */
static void
send_away(struct guest *g)
{
	web_counters()[WEB_TURNED_AWAY].value++;
	bufferevent_trigger_event(
	    g->bev, BEV_EVENT_READING | BEV_EVENT_TIMEOUT, 0);
	let_go(g);
}

/* It may never ask, or never again. */
static bool
is_idle(const struct guest *g)
{
	return !g->has_begun &&
	       evbuffer_get_length(bufferevent_get_output(g->bev)) == 0;
}

static bool
is_over(const struct guest *g, uint64_t now)
{
	if (g->is_asking)
		return false;
	if (house.end_ms == 0)
		return now >= g->since_ms + GUEST_PATIENCE_MS;
	return now >=
	       (g->since_ms > house.end_ms ? g->since_ms : house.end_ms) +
		   (is_idle(g) ? GUEST_LAST_IDLE_MS : GUEST_LAST_MS);
}

static size_t
sweep(void)
{
	uint64_t now = loop_now_ms(house.loop);
	size_t n = 0;

	for (size_t i = 0; i < GUESTS_MAX; i++) {
		struct guest *g = &house.all[i];

		if (g->bev == NULL)
			continue;
		if (is_gone(g))
			let_go(g);
		else if (is_over(g, now))
			send_away(g);
		n += g->bev != NULL;
	}
	return n;
}

static void
on_sweep(void *ctx)
{
	(void)ctx;
	if (sweep() > 0)
		timer_set(house.sweep, SWEEP_MS);
}

/* May it go, that another one has its place? */
static bool
may_go(const struct guest *g)
{
	return !g->is_asking &&
	       loop_now_ms(house.loop) >= g->since_ms + GUEST_GRACE_MS;
}

/* A place for a newcomer: a free one, or that of who is silent longest. NULL:
 * all have reason to be there. */
static struct guest *
find_place(void)
{
	struct guest *longest = NULL;

	for (size_t i = 0; i < GUESTS_MAX; i++) {
		struct guest *g = &house.all[i];

		if (g->bev == NULL)
			return g;
		if (may_go(g) &&
		    (longest == NULL || g->since_ms < longest->since_ms))
			longest = g;
	}
	return longest;
}

/* Open only while there is a place. */
static void
mind_door(void)
{
	if (house.door == NULL)
		return;
	if (find_place() != NULL) {
		evconnlistener_enable(house.door);
		return;
	}
	evconnlistener_disable(house.door);
	timer_set(house.shut, SHUT_MS);
}

static void
on_shut(void *ctx)
{
	(void)ctx;
	sweep();
	mind_door();
}

struct bufferevent *
guest_new(struct event_base *base, void *unused)
{
	struct guest *g = find_place();
	struct bufferevent *bev =
	    bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	(void)unused;
	if (bev == NULL)
		fatal("out of memory");
	web_counters()[WEB_CONNECTIONS].value++;
	bufferevent_setwatermark(bev, EV_READ, 0, GUEST_BYTES_MAX);
	if (g == NULL)
		return bev;
	if (g->bev != NULL)
		send_away(g);
	bufferevent_incref(bev);
	g->bev = bev;
	g->since_ms = loop_now_ms(house.loop);
	if (evbuffer_add_cb(bufferevent_get_input(bev), on_input, g) == NULL)
		fatal("out of memory");
	if (!timer_is_set(house.sweep))
		timer_set(house.sweep, SWEEP_MS);
	mind_door();
	return bev;
}

static struct guest *
find(const struct bufferevent *bev)
{
	for (size_t i = 0; i < GUESTS_MAX; i++)
		if (bev != NULL && house.all[i].bev == bev)
			return &house.all[i];
	return NULL;
}

void
guest_asks(const struct bufferevent *bev)
{
	struct guest *g = find(bev);

	if (g != NULL)
		g->is_asking = true;
}

void
guest_answered(const struct bufferevent *bev)
{
	struct guest *g = find(bev);

	if (g == NULL)
		return;
	g->is_asking = false;
	g->has_begun = evbuffer_get_length(bufferevent_get_input(g->bev)) > 0;
	g->since_ms = loop_now_ms(house.loop);
}

size_t
guests_count(void)
{
	return sweep();
}

bool
guests_are_full(void)
{
	for (size_t i = 0; i < GUESTS_MAX; i++)
		if (house.all[i].bev == NULL)
			return house.end_ms > 0;
	return true;
}

void
guests_end(void)
{
	house.end_ms = loop_now_ms(house.loop);
}

void
guests_shut(void)
{
	house.door = NULL;
}

void
guests_start(struct loop *l, struct evconnlistener *door)
{
	house.loop = l;
	house.door = door;
	house.end_ms = 0;
	house.sweep = timer_new(l, on_sweep, NULL);
	house.shut = timer_new(l, on_shut, NULL);
}

void
guests_stop(void)
{
	for (size_t i = 0; i < GUESTS_MAX; i++)
		if (house.all[i].bev != NULL)
			let_go(&house.all[i]);
	timer_free(&house.sweep);
	timer_free(&house.shut);
}
