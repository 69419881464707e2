/* What every child may say to the parent: that its jail holds, that it is
 * ready, why it cannot go on, or that it has lost a channel. */
#include <stdlib.h>

#include "edges/all_parent.h"
#include "lib/base/log.h"
#include "posternd/links.h"
#include "posternd/reload.h"
#include "posternd/spawn.h"
#include "posternd/upgrade.h"
#include "posternd/watch.h"

static void
on_jailed(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *p = ctx;
	const struct tell_jailed *m = msg;
	(void)ch;
	(void)id;
	free(p->sandbox);
	p->sandbox = str_dup(m->sandbox);
	if (m->edges != edges_hash())
		watch_refuse(p, "built from other definitions than posternd");
}

static void
on_ready(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ch;
	(void)msg;
	(void)id;
	watch_ready(ctx);
}

static void
on_conf_taken(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *p = ctx;
	(void)ch;
	(void)msg;
	(void)id;
	p->conf_told = false;
	if (p->conf_stale)
		spawn_tell_config(p);
	reload_taken(p->gw);
}

/* It exits now; the reason is shown with its death. */
static void
on_failed(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *p = ctx;
	const struct tell_failed *m = msg;
	(void)ch;
	(void)id;
	free(p->failure);
	p->failure = str_dup(m->text);
}

static void
on_lost(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_lost *m = msg;
	(void)ch;
	(void)id;
	links_lost(ctx, (enum role)m->role, m->instance, m->number);
}

static void
on_retired(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct process *p = ctx;
	(void)ch;
	(void)msg;
	(void)id;
	p->moved = true;
	upgrade_step(p->gw);
}

const struct handler from_children_handlers[] = {
	{ TYPE_tell_jailed, on_jailed },
	{ TYPE_tell_ready, on_ready },
	{ TYPE_tell_conf_taken, on_conf_taken },
	{ TYPE_tell_failed, on_failed },
	{ TYPE_tell_lost, on_lost },
	{ TYPE_tell_retired, on_retired },
	{ 0, NULL },
};
