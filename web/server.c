#include "web/server.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "web/counters.h"
#include "web/from_control.h"
#include "web/guests.h"
#include "web/health.h"
#include "web/metrics.h"

enum {
	STATUS_OK = 200,
	STATUS_NOT_FOUND = 404,
	STATUS_BAD_METHOD = 405,
	STATUS_UNAVAILABLE = 503,
	METHODS_ALL = 0xffff, /* refused by us, with better words */
	ACCEPT_PAUSE_MS = 1000,
	/* At the end: how often we look whether it has come; and how long the
	 * door stays open for those who wait there. When the next process has
	 * it, there may be no end of them, and it takes the rest. */
	END_LOOK_MS = 10,
	END_DOOR_MS = 1000,
	/* Nobody has it behind us: for a handshake that is under way. */
	END_QUIET_MS = 300
};

#define TEXT_TYPE "text/plain; charset=utf-8"

static struct counter counters[] = {
	[WEB_CONNECTIONS] = { "web.connections", 0 },
	[WEB_TURNED_AWAY] = { "web.turned_away", 0 },
	[WEB_REQUESTS] = { "web.requests", 0 },
	[WEB_REFUSED] = { "web.refused", 0 },
	[WEB_COUNTERS] = { NULL, 0 },
};

static struct {
	struct loop *loop;
	struct evhttp *http;
	struct evhttp_bound_socket *door;
	struct timer *pause; /* until accepting is tried again */
	struct timer *end;   /* until we look again whether it has come */
	uint64_t shut_ms;    /* then the door is shut, whoever waits there */
	uint64_t quiet_ms;   /* since then nobody does */
	void (*on_end)(void);
	int fd; /* until it is the door's; -1 */
} server = { .fd = -1 };

struct counter *
web_counters(void)
{
	return counters;
}

/* --- pages --- */

static bool
make_metrics(const struct view *v, struct buf *out)
{
	if (!(v->known & (KNOWN_STATUS | KNOWN_STATS))) {
		buf_add_str(out, STR("control does not answer\n"));
		return false;
	}
	metrics_format(v, out);
	return true;
}

struct page {
	const char *path;
	enum look look;
	/* What it says; false: with status 503, and as mere text. */
	bool (*make)(const struct view *v, struct buf *out);
	const char *type;
};

static const struct page pages[] = {
	{ "/metrics", LOOK_METRICS, make_metrics, METRICS_TYPE },
	{ "/health", LOOK_HEALTH, health_is_alive, TEXT_TYPE },
	{ "/ready", LOOK_READY, health_is_ready, TEXT_TYPE },
};

/* NULL: there is none at that path. */
static const struct page *
find_page(const char *path)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (path != NULL && strcmp(pages[i].path, path) == 0)
			return &pages[i];
	return NULL;
}

/* --- answers --- */

static void
add_header(struct evhttp_request *req, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

/* HEAD gets what GET would get, but for the text. */
static void
send_answer(
    struct evhttp_request *req, int status, const char *type, struct str text)
{
	bool is_head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
	struct evbuffer *body = is_head ? NULL : evbuffer_new();
	char length[24];

	snprintf(length, sizeof(length), "%zu", text.len);
	add_header(req, "Content-Type", type);
	add_header(req, "Content-Length", length);
	add_header(req, "Cache-Control", "no-store");
	add_header(req, "X-Content-Type-Options", "nosniff");
	if (guests_are_full())
		add_header(req, "Connection", "close");
	if (body != NULL && evbuffer_add(body, text.p, text.len) == -1)
		fatal("out of memory");
	/* NULL: the words for a status are evhttp's. */
	evhttp_send_reply(req, status, NULL, body);
	if (body != NULL)
		evbuffer_free(body);
}

static void
refuse(struct evhttp_request *req, int status, struct str text)
{
	counters[WEB_REFUSED].value++;
	send_answer(req, status, TEXT_TYPE, text);
}

/* Somebody who waits for a page. */
struct visit {
	struct look_wait wait;
	struct evhttp_request *req;
	const struct page *page;
	const struct bufferevent *guest;
};

static void
on_view(void *ctx, const struct view *v)
{
	struct visit *visit = ctx;
	struct buf text;

	buf_init(&text, METRICS_BYTES_MAX);
	bool ok = visit->page->make(v, &text);

	counters[WEB_REQUESTS].value++;
	guest_answered(visit->guest);
	send_answer(visit->req, ok ? STATUS_OK : STATUS_UNAVAILABLE,
	    ok ? visit->page->type : TEXT_TYPE, buf_str(&text));
	buf_clear(&text);
	free(visit);
}

static void
on_request(struct evhttp_request *req, void *unused)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(req);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const struct page *page =
	    find_page(uri == NULL ? NULL : evhttp_uri_get_path(uri));
	const struct bufferevent *guest = evhttp_connection_get_bufferevent(
	    evhttp_request_get_connection(req));
	struct visit *visit;

	(void)unused;
	guest_asks(guest);
	if (page != NULL &&
	    (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD)) {
		visit = xcalloc(1, sizeof(*visit));
		visit->req = req;
		visit->page = page;
		visit->guest = guest;
		look_at(page->look, &visit->wait, on_view, visit);
		return;
	}
	guest_answered(guest);
	if (page == NULL) {
		refuse(req, STATUS_NOT_FOUND, STR("there is no such page\n"));
		return;
	}
	add_header(req, "Allow", "GET, HEAD");
	refuse(req, STATUS_BAD_METHOD, STR("only GET and HEAD\n"));
}

/* --- the door --- */

static struct evconnlistener *
listener(void)
{
	return evhttp_bound_socket_get_listener(server.door);
}

static void
on_pause_over(void *ctx)
{
	(void)ctx;
	if (server.door != NULL)
		evconnlistener_enable(listener());
}

/* Descriptors or memory are short: not a reason to spin. */
static void
on_accept_error(struct evconnlistener *door, void *unused)
{
	(void)unused;
	log_warn(NULL, "accept-failed", "errno=%d", EVUTIL_SOCKET_ERROR());
	evconnlistener_disable(door);
	timer_set(server.pause, ACCEPT_PAUSE_MS);
}

static bool
is_somebody_waiting(void)
{
	struct pollfd p = { .fd = evhttp_bound_socket_get_fd(server.door),
		.events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* The parent bars a door that goes for good, by a filter. */
static bool
is_barred(void)
{
	socklen_t n = 0;

	return getsockopt(evhttp_bound_socket_get_fd(server.door), SOL_SOCKET,
		   SO_GET_FILTER, NULL, &n) == 0 &&
	       n > 0;
}

static bool
is_empty(uint64_t now)
{
	bool waits = is_somebody_waiting();

	if (waits)
		server.quiet_ms = now;
	return !waits &&
	       (!is_barred() || now >= server.quiet_ms + END_QUIET_MS);
}

static void
shut(void)
{
	guests_shut();
	evhttp_del_accept_socket(server.http, server.door);
	server.door = NULL;
}

static void
on_look(void *ctx)
{
	uint64_t now = loop_now_ms(server.loop);

	(void)ctx;
	if (server.door != NULL && (is_empty(now) || now >= server.shut_ms))
		shut();
	if (server.door == NULL && guests_count() == 0)
		server.on_end();
	else
		timer_set(server.end, END_LOOK_MS);
}

void
server_init(struct loop *l)
{
	server.loop = l;
	server.http = evhttp_new(loop_base(l));
	if (server.http == NULL)
		fatal("out of memory");
	evhttp_set_allowed_methods(server.http, METHODS_ALL);
	evhttp_set_max_headers_size(server.http, SERVER_HEADERS_MAX);
	evhttp_set_max_body_size(server.http, SERVER_BODY_MAX);
	evhttp_set_bevcb(server.http, guest_new, NULL);
	evhttp_set_gencb(server.http, on_request, NULL);
}

void
server_set(int fd)
{
	if (server.fd != -1)
		close(server.fd);
	server.fd = fd;
}

int
server_start(void)
{
	if (server.fd == -1)
		return -1;
	server.door = evhttp_accept_socket_with_handle(server.http, server.fd);
	if (server.door == NULL)
		fatal("out of memory");
	server.fd = -1;
	server.pause = timer_new(server.loop, on_pause_over, NULL);
	server.end = timer_new(server.loop, on_look, NULL);
	evconnlistener_set_error_cb(listener(), on_accept_error);
	guests_start(server.loop, listener());
	return 0;
}

void
server_end(void (*on_end)(void))
{
	server.on_end = on_end;
	server.quiet_ms = loop_now_ms(server.loop);
	server.shut_ms = server.quiet_ms + END_DOOR_MS;
	guests_end();
	on_look(NULL);
}

void
server_stop(void)
{
	evhttp_free(server.http);
	server.http = NULL;
	server.door = NULL;
	timer_free(&server.pause);
	timer_free(&server.end);
	guests_stop();
}
