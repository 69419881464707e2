/* The one place that says store_commit. */
#include "queue/pace.h"

/* With the sync itself, results are on disk within 20 ms. */
enum { PACE_LATER_MS = 15 };

void
pace_now(struct pace *p)
{
	p->before(p->ctx);
	timer_stop(p->later);
	loop_after_cancel(p->loop, &p->now);
	store_commit(p->store);
}

static void
on_now(void *ctx)
{
	pace_now(ctx);
}

void
pace_init(struct pace *p, struct loop *l, struct store *s,
    void (*before)(void *ctx), void *ctx)
{
	p->loop = l;
	p->store = s;
	p->before = before;
	p->ctx = ctx;
	deferred_init(&p->now, on_now, p);
	p->later = timer_new(l, on_now, p);
}

void
pace_soon(struct pace *p)
{
	loop_after(p->loop, &p->now);
}

void
pace_later(struct pace *p)
{
	if (!p->now.queued && !timer_is_set(p->later))
		timer_set(p->later, PACE_LATER_MS);
}
