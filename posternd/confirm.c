#include "posternd/confirm.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "posternd/reload.h"

/* The former one may not be had at once: another listens where it did. */
enum { AGAIN_MS = 10000 };

struct confirm {
	struct gateway *gw;
	struct config *former; /* a reference */
	struct timer *timer;
};

static void
on_time(void *ctx)
{
	struct confirm *c = ctx;
	struct gateway *gw = c->gw;
	if (gw->stopping)
		return;
	log_warn(NULL, "confirm", "result=back why=%s",
	    log_cstr("nobody has confirmed the configuration"));
	if (reload_back(gw, c->former) == -1)
		timer_set(c->timer, AGAIN_MS);
	else
		confirm_settle(gw);
}

void
confirm_begin(struct gateway *gw, struct config *former, uint64_t ms)
{
	struct confirm *c = gw->confirm;
	if (c == NULL) {
		c = gw->confirm = xcalloc(1, sizeof(*c));
		c->gw = gw;
		c->former = former;
		c->timer = timer_new(gw->loop, on_time, c);
	} else
		config_unref(&former);
	timer_set(c->timer, ms);
	log_info(NULL, "confirm", "result=waiting seconds=%llu",
	    (unsigned long long)(ms / 1000));
}

bool
confirm_is_waiting(const struct gateway *gw)
{
	return gw->confirm != NULL;
}

void
confirm_settle(struct gateway *gw)
{
	struct confirm *c = gw->confirm;
	if (c == NULL)
		return;
	gw->confirm = NULL;
	timer_free(&c->timer);
	config_unref(&c->former);
	free(c);
}
