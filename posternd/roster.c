#include "posternd/roster.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "posternd/account.h"
#include "posternd/complain.h"

/* Processes that a reload may bring: a user of `maildir' or `mda' has one. */
enum { ROOM = 256 };

static size_t
count(const struct config *c)
{
	size_t n = 0;
	for (size_t i = 0; i < role_table_size; i++)
		n += role_table[i].count(c);
	return n;
}

int
roster_set_user(struct process *p)
{
	if (!p->gw->as_root)
		return 0;
	return account_user(p->def->user(p->gw->conf, p->instance),
	    role_name(p->def->role), &p->uid, &p->gid);
}

/* Processes share users: one that is missing is missed once. */
static bool
is_missed_already(const struct gateway *gw, const struct process *p)
{
	const char *name = p->def->user(gw->conf, p->instance);
	for (const struct process *q = gw->processes; q < p; q++)
		if (gw->as_root && q->uid == 0 &&
		    strcmp(q->def->user(gw->conf, q->instance), name) == 0)
			return true;
	return false;
}

static void
name_process(struct gateway *gw, const struct role_def *def, uint16_t instance)
{
	struct process *p = &gw->processes[gw->nprocesses++];
	p->gw = gw;
	p->def = def;
	p->instance = instance;
	p->nofile = def->nofile(gw->conf);
	p->memory = def->memory(gw->conf);
	if (!is_missed_already(gw, p))
		(void)roster_set_user(p);
}

void
roster_make(struct gateway *gw)
{
	gw->room = count(gw->conf) + ROOM;
	gw->processes = xcalloc(gw->room, sizeof(*gw->processes));
	roster_grow(gw);
}

bool
roster_is_wanted(const struct process *p)
{
	return p->instance < p->def->count(p->gw->conf);
}

static bool
has_place(
    const struct gateway *gw, const struct role_def *def, uint16_t instance)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (gw->processes[i].def == def &&
		    gw->processes[i].instance == instance)
			return true;
	return false;
}

bool
roster_has_room(const struct gateway *gw, const struct config *next)
{
	size_t n = gw->nprocesses;
	for (size_t i = 0; i < role_table_size; i++)
		for (uint16_t k = 0; k < role_table[i].count(next); k++)
			n += !has_place(gw, &role_table[i], k);
	return n <= gw->room;
}

struct process *
roster_grow(struct gateway *gw)
{
	size_t first = gw->nprocesses;
	for (size_t i = 0; i < role_table_size; i++) {
		const struct role_def *def = &role_table[i];
		for (uint16_t k = 0; k < def->count(gw->conf); k++)
			if (!has_place(gw, def, k) && gw->nprocesses < gw->room)
				name_process(gw, def, k);
	}
	return gw->processes + first;
}

void
roster_check_users(const struct gateway *gw, const struct config *c)
{
	uid_t uid;
	gid_t gid;
	if (!gw->as_root)
		return;
	for (size_t i = 0; i < role_table_size; i++)
		for (uint16_t k = 0; k < role_table[i].count(c); k++)
			(void)account_user(role_table[i].user(c, k),
			    role_name(role_table[i].role), &uid, &gid);
}
