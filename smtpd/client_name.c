/*
 * The names of clients by address: a tree and, for its bound, the order in
 * which they were last asked for. A caller lives as long as it stands there or
 * is referred to: by sessions, by the question that is on its way.
 */
#include "smtpd/client_name.h"

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/tree.h"
#include "smtpd/command.h"
#include "smtpd/from_resolver.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

enum { KEPT_MAX = 4096 };

struct caller {
	RB_ENTRY(caller) node;     /* while kept */
	TAILQ_ENTRY(caller) entry; /* while kept: in `used` */
	struct commands waiting;
	char *name; /* owned; of the PTR, confirmed or not; NULL: none */
	uint64_t until_ms;
	unsigned int refs;
	struct addr addr;
	uint8_t state; /* enum client_name */
	bool kept;
};

static int
caller_cmp(struct caller *a, struct caller *b)
{
	if (a->addr.family != b->addr.family)
		return a->addr.family < b->addr.family ? -1 : 1;
	if (a->addr.scope != b->addr.scope)
		return a->addr.scope < b->addr.scope ? -1 : 1;
	return memcmp(a->addr.bytes, b->addr.bytes, sizeof(a->addr.bytes));
}

static RB_HEAD(callers, caller) kept = RB_INITIALIZER(&kept);
TREE_DEFINE(callers, caller, node, caller_cmp)
static TAILQ_HEAD(callers_used, caller) used =
    TAILQ_HEAD_INITIALIZER(used); /* last first */
static size_t nkept;

/* Whoever could not be asked about. */
static struct caller nobody = { .refs = 1, .state = CLIENT_NAME_FAULT };

static void
free_unused(struct caller *c)
{
	if (c->refs > 0 || c->kept)
		return;
	free(c->name);
	free(c);
}

void
caller_unref(struct caller **c)
{
	struct caller *old = *c;

	*c = NULL;
	if (old == NULL)
		return;
	old->refs--;
	free_unused(old);
}

static void
drop(struct caller *c)
{
	if (!c->kept)
		return;
	RB_REMOVE(callers, &kept, c);
	TAILQ_REMOVE(&used, c, entry);
	nkept--;
	c->kept = false;
}

static void
forget(struct caller *c)
{
	drop(c);
	free_unused(c);
}

static void
keep(struct caller *c)
{
	if (nkept == KEPT_MAX)
		forget(TAILQ_LAST(&used, callers_used));
	RB_INSERT(callers, &kept, c);
	TAILQ_INSERT_HEAD(&used, c, entry);
	nkept++;
	c->kept = true;
}

static struct caller *
ask(const struct addr *a)
{
	struct caller *c = xcalloc(1, sizeof(*c));

	c->addr = *a;
	c->state = CLIENT_NAME_PENDING;
	TAILQ_INIT(&c->waiting);
	if (from_resolver_ask(a, c) < 0) {
		free(c);
		return &nobody;
	}
	c->refs = 1; /* the question's */
	keep(c);
	return c;
}

static struct caller *
find(const struct addr *a)
{
	struct caller like = { .addr = *a };
	struct caller *c = RB_FIND(callers, &kept, &like);

	if (c == NULL)
		return NULL;
	if (c->state != CLIENT_NAME_PENDING && clock_mono_ms() >= c->until_ms) {
		forget(c);
		return NULL;
	}
	TAILQ_REMOVE(&used, c, entry);
	TAILQ_INSERT_HEAD(&used, c, entry);
	return c;
}

struct caller *
caller_ref(const struct addr *a)
{
	struct caller *c = find(a);

	if (c == NULL)
		c = ask(a);
	c->refs++;
	return c;
}

enum client_name
caller_state(const struct caller *c)
{
	return c != NULL ? (enum client_name)c->state : CLIENT_NAME_NONE;
}

struct str
caller_ptr(const struct caller *c)
{
	return str_of(c != NULL ? c->name : NULL);
}

struct str
caller_name(const struct caller *c)
{
	return caller_state(c) == CLIENT_NAME_CONFIRMED ? caller_ptr(c) :
							  STR("");
}

const char *
caller_text(const struct caller *c)
{
	struct str name = caller_name(c);

	return name.len > 0 ? name.p : "unknown";
}

void
caller_wait(struct caller *c, struct command *command)
{
	stats_add(STAT_RDNS_WAITED, 1);
	command_wait(command, &c->waiting, SESSION_NAMING);
}

void
caller_set(
    struct caller *c, enum client_name state, struct str name, uint32_t ttl_s)
{
	c->state = (uint8_t)state;
	if (name.len > 0)
		c->name = str_dup(name);
	c->until_ms = clock_mono_ms() + (uint64_t)ttl_s * 1000;
	if (ttl_s == 0)
		drop(c);
	command_wake(&c->waiting);
	caller_unref(&c); /* the question's */
}

void
callers_clear(void)
{
	struct caller *c, *next;

	TAILQ_FOREACH_SAFE(c, &used, entry, next)
		forget(c);
}
