#include "delivery/idle.h"

#include <string.h>

#include "delivery/secure.h"
#include "delivery/smtp_client.h"

static size_t nidle;

/* The one that was idle for longest. */
static struct conn *
oldest(void)
{
	struct conn *c, *found = NULL;

	TAILQ_FOREACH(c, conn_all(), entry)
		if (c->is_idle &&
		    (found == NULL || c->idle_since_ms < found->idle_since_ms))
			found = c;
	return found;
}

void
idle_add(struct conn *c)
{
	if (nidle >= IDLE_MAX)
		client_quit(oldest());
	c->is_idle = true;
	c->idle_since_ms = loop_now_ms(c->loop);
	nidle++;
	TAILQ_INSERT_HEAD(&c->hop->idle, c, idle_entry);
	stream_deadline(c->stream, c->numbers.idle_timeout);
}

static bool
serves(const struct conn *c, const struct place *p)
{
	return (c->policy == p->policy ||
		   strcmp(c->policy->key, p->policy->key) == 0) &&
	       addr_eq(&c->source, &p->source) && secure_is_current(c);
}

struct conn *
idle_take(const struct place *p)
{
	struct hop *h = hop_find(&p->at);
	struct conn *c;

	if (h == NULL)
		return NULL;
	TAILQ_FOREACH(c, &h->idle, idle_entry)
		if (serves(c, p)) {
			idle_del(c);
			return c;
		}
	return NULL;
}

void
idle_del(struct conn *c)
{
	if (!c->is_idle)
		return;
	c->is_idle = false;
	nidle--;
	TAILQ_REMOVE(&c->hop->idle, c, idle_entry);
}

void
idle_quit_all(void)
{
	struct conn *c, *next;

	TAILQ_FOREACH_SAFE(c, conn_all(), entry, next)
		if (c->is_idle)
			client_quit(c);
}
