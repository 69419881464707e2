/* A queue for each path that is full; one timer for all. */
#include "milters/dialer/crowd.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "milters/dialer/reach.h"

enum { AGAIN_MS = 5 };

struct crowd_wait {
	TAILQ_ENTRY(crowd_wait) next;
	struct crowd *crowd;
	uint64_t until_ms;
	crowd_fn *fn;
	void *ctx;
};

struct crowd {
	LIST_ENTRY(crowd) next;
	char *path;
	TAILQ_HEAD(, crowd_wait) waits;
};

static LIST_HEAD(, crowd) crowds = LIST_HEAD_INITIALIZER(crowds);
static struct timer *again;

static void
leave(struct crowd_wait *w, int fd, const struct fault *why)
{
	crowd_fn *fn = w->fn;
	void *ctx = w->ctx;

	TAILQ_REMOVE(&w->crowd->waits, w, next);
	free(w);
	fn(ctx, fd, why);
}

/* In their order, as far as it goes; then those whose time is over. */
static void
try(struct crowd *c)
{
	struct fault why = { 0 };
	struct crowd_wait *w, *next;
	uint64_t now_ms = clock_mono_ms();
	bool full = false;

	TAILQ_FOREACH_SAFE(w, &c->waits, next, next) {
		int fd = full ? -1 : reach_path(c->path, &full, &why);
		if (!full || w->until_ms <= now_ms)
			leave(w, fd, &why);
	}
}

static void
on_again(void *unused)
{
	struct crowd *c, *next;

	(void)unused;
	LIST_FOREACH_SAFE(c, &crowds, next, next) {
		try(c);
		if (!TAILQ_EMPTY(&c->waits))
			continue;
		LIST_REMOVE(c, next);
		free(c->path);
		free(c);
	}
	if (!LIST_EMPTY(&crowds))
		timer_set(again, AGAIN_MS);
}

void
crowd_init(struct loop *l)
{
	again = timer_new(l, on_again, NULL);
}

static struct crowd *
find(const char *path)
{
	struct crowd *c;

	LIST_FOREACH(c, &crowds, next)
		if (strcmp(c->path, path) == 0)
			return c;
	return NULL;
}

static struct crowd *
gather(const char *path)
{
	struct crowd *c = xcalloc(1, sizeof(*c));

	c->path = xstrdup(path);
	TAILQ_INIT(&c->waits);
	LIST_INSERT_HEAD(&crowds, c, next);
	if (!timer_is_set(again))
		timer_set(again, AGAIN_MS);
	return c;
}

struct crowd_wait *
crowd_connect(const char *path, uint64_t ms, crowd_fn *fn, void *ctx)
{
	struct crowd *c = find(path);
	struct fault why = { 0 };
	bool full = false;
	int fd;

	if (c == NULL) {
		fd = reach_path(path, &full, &why);
		if (!full) {
			fn(ctx, fd, &why);
			return NULL;
		}
		c = gather(path);
	}
	struct crowd_wait *w = xcalloc(1, sizeof(*w));
	w->crowd = c;
	w->until_ms = clock_mono_ms() + ms;
	w->fn = fn;
	w->ctx = ctx;
	TAILQ_INSERT_TAIL(&c->waits, w, next);
	return w;
}

/* An empty queue goes with the next round of the timer. */
void
crowd_cancel(struct crowd_wait **wp)
{
	struct crowd_wait *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	TAILQ_REMOVE(&w->crowd->waits, w, next);
	free(w);
}
