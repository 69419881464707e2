/*
 * Accepts, asks the limits, makes a session. When descriptors run out one
 * that was kept for it answers the client; nobody is left hanging, and the
 * loop does not spin on a socket it cannot serve.
 *
 * The listeners of another configuration come while we run: a socket that is
 * one of ours goes on as it is, and one that is not among them any more is
 * accepted empty, for who is in its backlog already was let in.
 */
#include "smtpd/listener.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "edges/all_parent.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "smtpd/entrance.h"
#include "smtpd/proxy.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

enum {
	BURST_MAX = 64,     /* connections accepted in one round */
	BACKLOG_MAX = 8192, /* and of a listener that goes, at last */
	PAUSE_MS = 1000 /* after an accept that failed for want of resources */
};

/* "192.0.2.1:25", as it stands in the log. Sessions point at it for longer
 * than their listener may be there, so it stays: there are as many as the
 * gateway has ever listened on. */
struct name {
	SLIST_ENTRY(name) entry;
	char text[];
};

struct door {
	LIST_ENTRY(door) entry;
	struct loop *loop;
	struct loop_fd *watch;
	struct timer *pause;
	int fd;
	uint32_t id;        /* of its listener */
	ino_t socket;       /* which it is, under any descriptor */
	unsigned int burst; /* to accept in the next round */
	const char *name;
	bool stays; /* it is one of the configuration that comes */
};

/* A socket of the configuration that comes. */
struct coming {
	STAILQ_ENTRY(coming) entry;
	struct loop *loop;
	uint32_t id;
	int fd;
};

static LIST_HEAD(, door) doors = LIST_HEAD_INITIALIZER(doors);
static STAILQ_HEAD(, coming) next_set = STAILQ_HEAD_INITIALIZER(next_set);
static SLIST_HEAD(, name) names = SLIST_HEAD_INITIALIZER(names);
static struct config *config;
static int reserve = -1;
static bool started, stopped;

static const char busy[] = "421 4.3.2 Too busy, try again later";

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

static const struct listener *
find_listener(uint32_t id)
{
	if (config == NULL || id >= config->nlisteners)
		return NULL;
	return &config->listeners[id];
}

/* Who expects TLS has no use for words (RFC 8314 3.3: not one in the clear). */
static bool
has_words(const struct door *d)
{
	const struct listener *l = find_listener(d->id);

	return l == NULL ? d->id != LISTEN_LEFT_SMTPS :
			   (l->flags & LISTENER_SMTPS) == 0;
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
	if (fd >= 0)
		turn_away(fd, has_words(d) ? busy : NULL);
	reserve = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
	log_warn(NULL, "descriptors", "listener=%s why=%s", log_cstr(d->name),
	    log_cstr("none left, a client was sent away"));
	return fd >= 0 && reserve >= 0;
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
		turn_away(fd, has_words(d) ?
				  "421 4.3.2 Not ready, try again later" :
				  NULL);
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
		turn_away(fd, has_words(d) ? e.reply : NULL);
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
	case EINVAL:
		/* A path's, which we share: it goes, and another of us has
		 * heard of it first. */
		loop_fd_want(d->watch, 0);
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

/* --- doors --- */

static const char *
keep_name(const char *text)
{
	size_t size = strlen(text) + 1;
	struct name *n;

	SLIST_FOREACH(n, &names, entry)
	if (strcmp(n->text, text) == 0)
		return n->text;
	n = xmalloc(sizeof(*n) + size);
	memcpy(n->text, text, size);
	SLIST_INSERT_HEAD(&names, n, entry);
	return n->text;
}

static const char *
name_of(int socket)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;
	uint16_t port;
	char text[ADDR_TEXT_MAX], name[ADDR_TEXT_MAX + 8];

	memset(&ss, 0, sizeof(ss));
	if (getsockname(socket, (struct sockaddr *)&ss, &len) != 0 ||
	    ss.ss_family == AF_UNIX)
		return keep_name("submit");
	addr_from_sockaddr((struct sockaddr *)&ss, len, &a, &port);
	addr_format(&a, text);
	snprintf(name, sizeof(name), a.family == ADDR_V6 ? "[%s]:%u" : "%s:%u",
	    text, (unsigned int)port);
	return keep_name(name);
}

static ino_t
identity(int socket)
{
	struct stat st;

	return fstat(socket, &st) == 0 ? st.st_ino : 0;
}

static struct door *
door_new(struct loop *loop, uint32_t id, int socket)
{
	struct door *d = xcalloc(1, sizeof(*d));

	d->loop = loop;
	d->fd = socket;
	d->id = id;
	d->socket = identity(socket);
	d->name = name_of(socket);
	d->burst = 1;
	d->watch = loop_fd_new(loop, socket, on_ready, d);
	d->pause = timer_new(loop, on_pause, d);
	LIST_INSERT_HEAD(&doors, d, entry);
	return d;
}

static void
door_free(struct door **dp)
{
	struct door *d = *dp;

	*dp = NULL;
	LIST_REMOVE(d, entry);
	timer_free(&d->pause);
	loop_fd_free(&d->watch);
	close(d->fd);
	free(d);
}

/* Ours that is the same socket, under whatever descriptor. */
static struct door *
find_door(int socket)
{
	ino_t wanted = identity(socket);
	struct door *d;

	LIST_FOREACH(d, &doors, entry)
		if (wanted != 0 && d->socket == wanted)
			return d;
	return NULL;
}

/* Lets in who is in its backlog, by the configuration that it is of. */
static void
let_in(struct door *d)
{
	for (unsigned int n = 0; n < BACKLOG_MAX; n++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int fd;

		memset(&ss, 0, sizeof(ss));
		fd = accept4(d->fd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			admit(d, fd, &ss, len);
		else if (errno != EINTR && errno != ECONNABORTED)
			break;
	}
}

/* For good. The socket of a path takes nobody from the first moment on; one of
 * the network would turn away who is there already. */
static void
empty(struct door *d)
{
	bool is_path = find_listener(d->id) != NULL &&
		       find_listener(d->id)->addr.family == ADDR_LOCAL;

	log_debug(NULL, "listener-closed", "listener=%s", log_cstr(d->name));
	if (is_path)
		shutdown(d->fd, SHUT_RD);
	let_in(d);
	/* The parent still has it open for a moment: nobody is to wait
	 * there. */
	if (!is_path)
		shutdown(d->fd, SHUT_RD);
}

static void
keep_reserve(void)
{
	struct door *d = LIST_FIRST(&doors);

	/* It holds a listening socket, which may be one that goes. */
	if (reserve >= 0)
		close(reserve);
	reserve = d == NULL ? -1 : fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
}

/* --- another configuration --- */

/* Which of the doors stay, and those that go are emptied while the
 * configuration is still theirs. */
static void
close_some(void)
{
	struct coming *c;
	struct door *d, *after;

	STAILQ_FOREACH(c, &next_set, entry)
		if ((d = find_door(c->fd)) != NULL)
			d->stays = true;
	LIST_FOREACH_SAFE(d, &doors, entry, after) {
		if (d->stays)
			continue;
		empty(d);
		door_free(&d);
	}
}

static void
open_some(void)
{
	struct coming *c;
	struct door *d;

	while ((c = STAILQ_FIRST(&next_set)) != NULL) {
		STAILQ_REMOVE_HEAD(&next_set, entry);
		d = find_door(c->fd);
		if (d != NULL) {
			close(c->fd);
			d->id = c->id;
			d->stays = false;
		} else {
			d = door_new(c->loop, c->id, c->fd);
			loop_fd_want(d->watch, LOOP_READ);
		}
		free(c);
	}
	keep_reserve();
}

void
listener_add(struct loop *loop, uint32_t id, int socket)
{
	struct coming *c;

	if (stopped) {
		close(socket);
		return;
	}
	if (!started) {
		door_new(loop, id, socket);
		if (reserve < 0)
			keep_reserve();
		return;
	}
	c = xcalloc(1, sizeof(*c));
	*c = (struct coming){ .loop = loop, .id = id, .fd = socket };
	STAILQ_INSERT_TAIL(&next_set, c, entry);
}

void
listener_set_config(struct config *c)
{
	bool swaps = started && !stopped && c != NULL;

	if (swaps)
		close_some();
	config_unref(&config);
	config = c == NULL ? NULL : config_ref(c);
	if (swaps)
		open_some();
}

struct config *
listener_config(void)
{
	return config;
}

void
listener_start(void)
{
	struct door *d, *after;

	started = true;
	LIST_FOREACH_SAFE(d, &doors, entry, after) {
		if (d->id != LISTEN_LEFT && d->id != LISTEN_LEFT_SMTPS) {
			loop_fd_want(d->watch, LOOP_READ);
			continue;
		}
		empty(d);
		door_free(&d);
	}
	keep_reserve();
}

void
listener_retire(void)
{
	struct door *d;

	LIST_FOREACH(d, &doors, entry)
		let_in(d);
	listener_stop();
}

void
listener_stop(void)
{
	struct coming *c;
	struct door *d;

	stopped = true;
	while ((d = LIST_FIRST(&doors)) != NULL)
		door_free(&d);
	while ((c = STAILQ_FIRST(&next_set)) != NULL) {
		STAILQ_REMOVE_HEAD(&next_set, entry);
		close(c->fd);
		free(c);
	}
	if (reserve >= 0)
		close(reserve);
	reserve = -1;
}
