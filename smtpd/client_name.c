/* The names of clients by address. */
#include "smtpd/client_name.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "smtpd/command.h"
#include "smtpd/from_resolver.h"
#include "smtpd/known.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

enum { KEPT_MAX = 4096 };

struct caller {
	struct known known; /* the first member */
	struct commands waiting;
	char *name;    /* owned; of the PTR, confirmed or not; NULL: none */
	uint8_t state; /* enum client_name */
};

static void
caller_free(struct known *k)
{
	struct caller *c = (struct caller *)k;

	free(c->name);
	free(c);
}

static struct known_cache kept = KNOWN_CACHE(kept, KEPT_MAX, caller_free);

/* Whoever could not be asked about. */
static struct caller nobody = { .known.refs = 1, .state = CLIENT_NAME_FAULT };

void
caller_unref(struct caller **c)
{
	struct caller *old = *c;

	*c = NULL;
	if (old != NULL)
		known_unref(&kept, &old->known);
}

static struct caller *
ask(const struct addr *a)
{
	struct caller *c = xcalloc(1, sizeof(*c));

	c->state = CLIENT_NAME_PENDING;
	TAILQ_INIT(&c->waiting);
	if (from_resolver_ask(a, c) < 0) {
		free(c);
		return &nobody;
	}
	known_start(&kept, &c->known, a, 0);
	return c;
}

struct caller *
caller_ref(const struct addr *a)
{
	struct caller *c = (struct caller *)known_find(&kept, a, 0);

	if (c == NULL)
		c = ask(a);
	c->known.refs++;
	return c;
}

struct caller *
caller_given(enum client_name state, struct str name)
{
	struct caller *c = xcalloc(1, sizeof(*c));

	TAILQ_INIT(&c->waiting);
	c->state = (uint8_t)state;
	if (name.len > 0)
		c->name = str_dup(name);
	c->known.refs = 1;
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
	known_set(&kept, &c->known, ttl_s);
	command_wake(&c->waiting);
	caller_unref(&c); /* the question's */
}

void
callers_clear(void)
{
	known_clear(&kept);
}
