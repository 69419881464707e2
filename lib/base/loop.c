#include "lib/base/loop.h"

#include <event2/event.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

struct loop {
	struct event_base *base;
	struct deferred *first, **last;
	void (*on_round)(void); /* or NULL */
	bool stop;
};

struct loop_fd {
	struct loop *loop;
	struct event *event; /* NULL while nothing is wanted */
	loop_fd_fn *fn;
	void *ctx;
	int fd;
	int want;
};

/* The event fires at fires_ms; when the due time moved on meanwhile it is
 * set again for the rest, so moving a timer away costs nothing. */
struct timer {
	struct loop *loop;
	struct event *event;
	timer_fn *fn;
	void *ctx;
	uint64_t due_ms;   /* 0: stopped */
	uint64_t fires_ms; /* 0: the event is not pending */
};

struct loop_signal {
	signal_fn *fn;
	void *ctx;
};

struct loop *
loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));
	struct event_config *c = event_config_new();

	if (c == NULL)
		fatal("out of memory");
	/* Our own clock tells the time; no cache, no extra descriptors. */
	event_config_set_flag(c, EVENT_BASE_FLAG_NOLOCK);
	event_config_set_flag(c, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	l->base = event_base_new_with_config(c);
	event_config_free(c);
	if (l->base == NULL)
		fatal("no event loop");
	l->last = &l->first;
	return l;
}

void
loop_free(struct loop **l)
{
	if (*l == NULL)
		return;
	event_base_free((*l)->base);
	free(*l);
	*l = NULL;
}

static void
run_deferred(struct loop *l)
{
	while (l->first != NULL) {
		struct deferred *d = l->first;
		l->first = d->next;
		if (l->first == NULL)
			l->last = &l->first;
		d->queued = false;
		d->fn(d->ctx);
	}
}

void
loop_run(struct loop *l)
{
	l->stop = false;
	run_deferred(l);
	while (!l->stop) {
		log_flush();
		if (l->on_round != NULL)
			l->on_round();
		if (event_base_loop(l->base, EVLOOP_ONCE) != 0)
			break; /* nothing left to wait for */
		run_deferred(l);
	}
	log_flush();
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
}

void
loop_on_round(struct loop *l, void (*fn)(void))
{
	l->on_round = fn;
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

void
loop_settle(struct loop *l)
{
	run_deferred(l);
}

uint64_t
loop_now_ms(const struct loop *l)
{
	(void)l;
	return clock_mono_ms();
}

/* --- descriptors --- */

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct loop_fd *f = arg;

	(void)fd;
	f->fn(f->ctx, ((what & EV_READ) != 0 ? LOOP_READ : 0) |
			  ((what & EV_WRITE) != 0 ? LOOP_WRITE : 0));
}

struct loop_fd *
loop_fd_new(struct loop *l, int fd, loop_fd_fn *fn, void *ctx)
{
	struct loop_fd *f = xcalloc(1, sizeof(*f));

	f->loop = l;
	f->fd = fd;
	f->fn = fn;
	f->ctx = ctx;
	return f;
}

void
loop_fd_want(struct loop_fd *f, int what)
{
	if (f->want == what)
		return;
	if (f->event == NULL) {
		f->event = event_new(f->loop->base, f->fd, 0, on_event, f);
		if (f->event == NULL)
			fatal("out of memory");
	} else if (f->want != 0) {
		event_del(f->event);
	}
	f->want = what;
	if (what == 0)
		return;
	short flags = EV_PERSIST;
	if ((what & LOOP_READ) != 0)
		flags |= EV_READ;
	if ((what & LOOP_WRITE) != 0)
		flags |= EV_WRITE;
	event_assign(f->event, f->loop->base, f->fd, flags, on_event, f);
	if (event_add(f->event, NULL) != 0)
		log_warn(NULL, "loop", "why=%s", log_cstr("event_add failed"));
}

void
loop_fd_free(struct loop_fd **f)
{
	if (*f == NULL)
		return;
	if ((*f)->event != NULL)
		event_free((*f)->event);
	free(*f);
	*f = NULL;
}

/* --- timers --- */

static void
timer_arm(struct timer *t, uint64_t now_ms)
{
	uint64_t ms = t->due_ms > now_ms ? t->due_ms - now_ms : 0;
	struct timeval tv = { (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000 * 1000) };

	t->fires_ms = now_ms + ms;
	event_add(t->event, &tv);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;

	(void)fd;
	(void)what;
	t->fires_ms = 0;
	if (t->due_ms == 0)
		return;
	uint64_t now = clock_mono_ms();
	if (now < t->due_ms) {
		timer_arm(t, now);
		return;
	}
	t->due_ms = 0;
	t->fn(t->ctx);
}

struct timer *
timer_new(struct loop *l, timer_fn *fn, void *ctx)
{
	struct timer *t = xcalloc(1, sizeof(*t));

	t->loop = l;
	t->fn = fn;
	t->ctx = ctx;
	t->event = evtimer_new(l->base, on_timer, t);
	if (t->event == NULL)
		fatal("out of memory");
	return t;
}

void
timer_set(struct timer *t, uint64_t ms)
{
	uint64_t now = clock_mono_ms();

	t->due_ms = now + ms;
	if (t->fires_ms == 0 || t->fires_ms > t->due_ms)
		timer_arm(t, now);
}

void
timer_stop(struct timer *t)
{
	t->due_ms = 0;
}

bool
timer_is_set(const struct timer *t)
{
	return t->due_ms != 0;
}

void
timer_free(struct timer **t)
{
	if (*t == NULL)
		return;
	event_free((*t)->event);
	free(*t);
	*t = NULL;
}

/* --- signals --- */

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct loop_signal *s = arg;

	(void)what;
	s->fn(s->ctx, (int)sig);
}

void
loop_signal(struct loop *l, int sig, signal_fn *fn, void *ctx)
{
	struct loop_signal *s = xcalloc(1, sizeof(*s));

	s->fn = fn;
	s->ctx = ctx;
	struct event *e = evsignal_new(l->base, sig, on_signal, s);
	if (e == NULL || event_add(e, NULL) != 0)
		fatal("no signal %d", sig);
}

/* --- after this round --- */

void
deferred_init(struct deferred *d, void (*fn)(void *), void *ctx)
{
	*d = (struct deferred){ fn, ctx, false, NULL };
}

void
loop_after(struct loop *l, struct deferred *d)
{
	if (d->queued)
		return;
	d->queued = true;
	d->next = NULL;
	*l->last = d;
	l->last = &d->next;
	/* Asked outside of a round (before loop_run, in a test): the next
	 * round begins with it. */
}

void
loop_after_cancel(struct loop *l, struct deferred *d)
{
	if (!d->queued)
		return;
	for (struct deferred **p = &l->first; *p != NULL; p = &(*p)->next) {
		if (*p != d)
			continue;
		*p = d->next;
		if (*p == NULL)
			l->last = p;
		d->queued = false;
		return;
	}
}
