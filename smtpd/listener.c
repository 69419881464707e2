/*
 * Accepts, asks the limits, makes a session. When descriptors run out one
 * that was kept for it answers the client; nobody is left hanging, and the
 * loop does not spin on a socket it cannot serve.
 */
#include "smtpd/listener.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "smtpd/entrance.h"
#include "smtpd/proxy.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

enum {
	BURST_MAX = 64, /* connections accepted in one round */
	PAUSE_MS = 1000 /* after an accept that failed for want of resources */
};

struct door {
	LIST_ENTRY(door) entry;
	struct loop *loop;
	struct loop_fd *watch;
	struct timer *pause;
	int fd;
	uint32_t id;        /* of its listener */
	unsigned int burst; /* to accept in the next round */
	char name[];        /* "192.0.2.1:25", as it stands in the log */
};

static LIST_HEAD(, door) doors = LIST_HEAD_INITIALIZER(doors);
static struct config *config;
static int reserve = -1;
static bool started;

static const char busy[] = "421 4.3.2 Too busy, try again later\r\n";

/* reply NULL: without a word. */
static void
turn_away(int fd, const char *reply)
{
	if (reply != NULL) {
		struct iovec line[] = {
			{ (void *)(uintptr_t)reply, strlen(reply) },
			{ (void *)(uintptr_t) "\r\n", 2 },
		};
		struct msghdr m = { .msg_iov = line, .msg_iovlen = 2 };

		sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	shutdown(fd, SHUT_WR);
	close(fd);
}

/* No descriptor is left: answers one client with the one kept back. False
 * when not even that goes. */
static bool
answer_with_reserve(struct door *d)
{
	int fd;

	if (reserve < 0)
		return false;
	close(reserve);
	fd = accept4(d->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
	}
	reserve = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
	log_warn(NULL, "descriptors", "listener=%s why=%s", log_cstr(d->name),
	    log_cstr("none left, a client was sent away"));
	return fd >= 0 && reserve >= 0;
}

static const struct listener *
find_listener(uint32_t id)
{
	if (config == NULL || id >= config->nlisteners)
		return NULL;
	return &config->listeners[id];
}

static uint32_t
peer_uid(int fd)
{
	struct ucred cred = { .uid = UINT32_MAX };
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return UINT32_MAX;
	return cred.uid;
}

static void
refused(
    const struct door *d, const struct addr *client, const struct entrance *e)
{
	char text[ADDR_TEXT_MAX];

	stats_add(e->reply[0] == '5' ? STAT_REJECTED : STAT_TEMPFAILED, 1);
	log_info(NULL, "reject",
	    "stage=%s reply=%s why=%s client=%s listener=%s",
	    log_cstr("connect"), log_cstr(e->reply), log_cstr(e->why),
	    log_cstr(addr_format(client, text)), log_cstr(d->name));
}

static void
admit(struct door *d, int fd, const struct sockaddr_storage *ss, socklen_t len)
{
	const struct listener *l = find_listener(d->id);
	struct session_args a = { .loop = d->loop,
		.fd = fd,
		.config = config,
		.listener = l,
		.listener_name = d->name };
	struct entrance e;

	if (l == NULL) {
		turn_away(fd, "421 4.3.2 Not ready, try again later");
		return;
	}
	if (l->flags & LISTENER_SUBMIT || ss->ss_family == AF_UNIX) {
		a.client.family = ADDR_LOCAL;
		a.uid = peer_uid(fd);
	} else
		addr_from_sockaddr(
		    (const struct sockaddr *)ss, len, &a.client, &a.port);
	if (proxy_is_due(l, &a.client))
		entrance_ask_balancer(&e, config, l, &a.client);
	else
		entrance_ask(&e, config, l, &a.client);
	if (e.reply != NULL) {
		refused(d, &a.client, &e);
		/* Who expects TLS has no use for words. */
		turn_away(
		    fd, (l->flags & LISTENER_SMTPS) != 0 ? NULL : e.reply);
		return;
	}
	a.trusted = e.trusted;
	a.counted = e.counted;
	a.ticket = e.ticket;
	session_new(&a);
}

static void
on_pause(void *ctx)
{
	struct door *d = ctx;

	loop_fd_want(d->watch, LOOP_READ);
}

static void
accept_failed(struct door *d)
{
	switch (errno) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
		return;
	case EMFILE:
	case ENFILE:
		if (answer_with_reserve(d))
			return;
		break;
	default:
		log_warn(NULL, "accept", "listener=%s why=%s",
		    log_cstr(d->name), log_cstr(strerror(errno)));
		break;
	}
	loop_fd_want(d->watch, 0);
	timer_set(d->pause, PAUSE_MS);
}

/* As many as there were the last time and one more each time there were: one
 * call for a lone client, no EAGAIN; many for a crowd. */
static void
on_ready(void *ctx, int what)
{
	struct door *d = ctx;
	struct sockaddr_storage ss;
	unsigned int n;

	(void)what;
	for (n = 0; n < d->burst; n++) {
		socklen_t len = sizeof(ss);
		int fd;

		memset(&ss, 0, sizeof(ss));
		fd = accept4(d->fd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			accept_failed(d);
			break;
		}
		admit(d, fd, &ss, len);
	}
	if (n < d->burst)
		d->burst = 1;
	else if (d->burst < BURST_MAX)
		d->burst *= 2;
}

static struct door *
door_new(struct loop *loop, uint32_t id, int socket, const char *name)
{
	size_t len = strlen(name) + 1;
	struct door *d = xcalloc(1, sizeof(*d) + len);

	memcpy(d->name, name, len);
	d->loop = loop;
	d->fd = socket;
	d->id = id;
	d->burst = 1;
	d->watch = loop_fd_new(loop, socket, on_ready, d);
	d->pause = timer_new(loop, on_pause, d);
	LIST_INSERT_HEAD(&doors, d, entry);
	return d;
}

void
listener_add(struct loop *loop, uint32_t id, int socket)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;
	uint16_t port;
	char text[ADDR_TEXT_MAX], name[ADDR_TEXT_MAX + 8];

	memset(&ss, 0, sizeof(ss));
	if (getsockname(socket, (struct sockaddr *)&ss, &len) != 0 ||
	    ss.ss_family == AF_UNIX) {
		snprintf(name, sizeof(name), "submit");
	} else {
		addr_from_sockaddr((struct sockaddr *)&ss, len, &a, &port);
		addr_format(&a, text);
		snprintf(name, sizeof(name),
		    a.family == ADDR_V6 ? "[%s]:%u" : "%s:%u", text,
		    (unsigned int)port);
	}
	struct door *d = door_new(loop, id, socket, name);
	if (started)
		loop_fd_want(d->watch, LOOP_READ);
	if (reserve < 0)
		reserve = fcntl(socket, F_DUPFD_CLOEXEC, 0);
}

void
listener_set_config(struct config *c)
{
	config_unref(&config);
	config = c == NULL ? NULL : config_ref(c);
}

struct config *
listener_config(void)
{
	return config;
}

void
listener_start(void)
{
	struct door *d;

	started = true;
	LIST_FOREACH(d, &doors, entry)
		loop_fd_want(d->watch, LOOP_READ);
}

void
listener_stop(void)
{
	struct door *d;

	LIST_FOREACH(d, &doors, entry) {
		timer_stop(d->pause);
		loop_fd_free(&d->watch);
		if (d->fd >= 0)
			close(d->fd);
		d->fd = -1;
	}
	if (reserve >= 0)
		close(reserve);
	reserve = -1;
}
