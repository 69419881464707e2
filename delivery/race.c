#include "delivery/race.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/bind_addr.h"
#include "delivery/from_dialer.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

/* A place on its way. */
struct runner {
	TAILQ_ENTRY(runner) entry;
	struct race *race;
	struct place place; /* host owned, policy a reference */
	int fd;             /* -1: the dialer's turn */
	struct loop_fd *watch;
	struct dial_wait dial;
	uint64_t begun_ms, late_ms; /* loop time */
};

struct race {
	struct work *work;
	TAILQ_HEAD(, runner) runners;
	struct timer *timer;
	uint64_t slow_ms; /* on_slow is due; UINT64_MAX: it was called */
};

static struct loop *loop;
static const struct race_ops *ops;
static uint64_t total;

void
race_init(struct loop *l, const struct race_ops *o)
{
	loop = l;
	ops = o;
}

/* --- one that runs --- */

static void
runner_free(struct runner *r)
{
	TAILQ_REMOVE(&r->race->runners, r, entry);
	loop_fd_free(&r->watch);
	from_dialer_cancel(&r->dial);
	if (r->fd != -1)
		(void)close(r->fd);
	policy_unref(&r->place.policy);
	free((char *)(uintptr_t)r->place.host);
	free(r);
}

/* Its place as the owner may see it when it is no more; freed by forget. */
static struct place
take_place(struct runner *r)
{
	struct place p = r->place;

	r->place.host = NULL;
	r->place.policy = NULL;
	return p;
}

static void
forget(struct place *p)
{
	policy_unref(&p->policy);
	free((char *)(uintptr_t)p->host);
}

/* --- the race --- */

bool
race_is_on(const struct work *w)
{
	return w->race != NULL;
}

static void
end(struct race *r)
{
	r->work->race = NULL;
	timer_free(&r->timer);
	free(r);
}

void
race_stop(struct work *w)
{
	struct runner *one, *next;

	if (w->race == NULL)
		return;
	TAILQ_FOREACH_SAFE(one, &w->race->runners, entry, next)
		runner_free(one);
	end(w->race);
}

void
race_leave(struct work *w)
{
	uint64_t now = loop_now_ms(loop);
	struct runner *one, *next;

	if (w->race == NULL)
		return;
	TAILQ_FOREACH_SAFE(one, &w->race->runners, entry, next) {
		struct place p = take_place(one);
		bool slow = now - one->begun_ms >= RACE_DELAY_MS;

		runner_free(one);
		ops->on_left(w, &p, slow);
		forget(&p);
	}
	end(w->race);
}

/* To whatever is due next. */
static void
arm(struct race *r)
{
	uint64_t now = loop_now_ms(loop), due = r->slow_ms;
	const struct runner *one;

	TAILQ_FOREACH(one, &r->runners, entry)
		if (one->late_ms < due)
			due = one->late_ms;
	timer_set(r->timer, due > now ? due - now : 1);
}

static void
win(struct runner *one)
{
	struct work *w = one->race->work;
	struct place p = take_place(one);
	int fd = one->fd;

	one->fd = -1;
	runner_free(one);
	race_leave(w);
	ops->on_won(w, &p, fd);
	forget(&p);
}

static void
fail(struct runner *one, struct verdict *why)
{
	struct race *r = one->race;
	struct work *w = r->work;
	struct place p = take_place(one);

	(void)place_format(&p, why->relay);
	runner_free(one);
	if (TAILQ_EMPTY(&r->runners))
		end(r);
	else
		arm(r);
	ops->on_failed(w, &p, why);
	forget(&p);
}

static void
on_timer(void *ctx)
{
	uint64_t now = loop_now_ms(loop);
	struct verdict why = { 0 };
	struct race *r = ctx;
	struct runner *one;

	TAILQ_FOREACH(one, &r->runners, entry)
		if (one->late_ms <= now) {
			verdict_set(&why, "4.4.1", "timed out in connect");
			fail(one, &why);
			return;
		}
	if (r->slow_ms <= now) {
		r->slow_ms = UINT64_MAX;
		arm(r);
		ops->on_slow(r->work);
		return;
	}
	arm(r);
}

/* --- beginning --- */

static void
on_writable(void *ctx, int what)
{
	struct runner *one = ctx;
	struct verdict why = { 0 };
	int error = 0;
	socklen_t len = sizeof(error);

	(void)what;
	if (getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error == 0) {
		loop_fd_free(&one->watch);
		win(one);
		return;
	}
	verdict_set(&why, "4.4.1", "connect: %s", strerror(error));
	fail(one, &why);
}

static void
watch(struct runner *one)
{
	one->watch = loop_fd_new(loop, one->fd, on_writable, one);
	loop_fd_want(one->watch, LOOP_WRITE);
}

static void
on_dialed(void *ctx, int fd, const char *text)
{
	struct runner *one = ctx;
	struct verdict why = { 0 };

	if (fd == -1) {
		verdict_set(&why, "4.4.1", "connect: %s", text);
		fail(one, &why);
		return;
	}
	one->fd = fd;
	watch(one);
}

static int
no_socket(struct verdict *why)
{
	verdict_set(why, errno == EMFILE || errno == ENFILE ? "4.3.2" : "4.4.1",
	    "connect: %s", strerror(errno));
	return -1;
}

/* A socket on its way to p; -1 with why. */
static int
begin_connect(const struct place *p, struct verdict *why)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&p->at.addr, p->at.port, &ss);
	struct fault unbound = { 0 };
	int fd;

	if (len == 0) {
		errno = EAFNOSUPPORT;
		return no_socket(why);
	}
	fd =
	    socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return no_socket(why);
	if (p->source.family != ADDR_NONE &&
	    bind_addr_bind(fd, &p->source, &unbound) == -1) {
		verdict_set(why, "4.4.1", "%s", unbound.text);
		(void)close(fd);
		return -1;
	}
	if (connect(fd, (const struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS) {
		(void)no_socket(why);
		(void)close(fd);
		return -1;
	}
	return fd;
}

static struct race *
race_of(struct work *w)
{
	struct race *r = w->race;

	if (r != NULL)
		return r;
	r = xcalloc(1, sizeof(*r));
	r->work = w;
	TAILQ_INIT(&r->runners);
	r->timer = timer_new(loop, on_timer, r);
	w->race = r;
	return r;
}

int
race_add(struct work *w, const struct place *p, uint64_t timeout_ms,
    struct verdict *why)
{
	bool by_dialer = p->at.addr.family == ADDR_LOCAL;
	char text[HOP_TEXT_MAX];
	struct runner *one;
	int fd = -1;

	total++;
	log_debug(
	    NULL, "connect", "relay=%s", log_cstr(hop_format(&p->at, text)));
	if (!by_dialer && (fd = begin_connect(p, why)) == -1) {
		(void)place_format(p, why->relay);
		return -1;
	}
	one = xcalloc(1, sizeof(*one));
	one->race = race_of(w);
	one->place = *p;
	one->place.host = p->host == NULL ? NULL : xstrdup(p->host);
	one->place.policy = policy_ref(p->policy);
	one->fd = fd;
	one->dial.fn = on_dialed;
	one->dial.ctx = one;
	one->begun_ms = loop_now_ms(loop);
	one->late_ms = one->begun_ms + timeout_ms;
	TAILQ_INSERT_TAIL(&one->race->runners, one, entry);
	if (by_dialer)
		from_dialer_ask(w->action, p->at.path, &one->dial);
	else
		watch(one);
	one->race->slow_ms = one->begun_ms + RACE_DELAY_MS;
	arm(one->race);
	return 0;
}

uint64_t
race_total(void)
{
	return total;
}
