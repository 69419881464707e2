/* The parent makes them because it outlives every smtpd, and uses none. */
#include "posternd/tickets.h"

#include <string.h>
#include <sys/random.h>

#include "lib/base/log.h"
#include "posternd/gateway.h"
#include "posternd/spawn.h"

void
tickets_rotate(struct tickets *t)
{
	uint8_t *key = t->keys[0];
	memmove(t->keys[1], key, sizeof(t->keys) - TICKET_KEY_SIZE);
	/* Up to 256 bytes come whole, or not at all. */
	if (getrandom(key, TICKET_KEY_SIZE, 0) != TICKET_KEY_SIZE)
		fatal_errno("getrandom");
	if (t->n < TICKET_KEYS_MAX)
		t->n++;
}

void
tickets_take(struct tickets *t, struct str keys)
{
	t->n = keys.len / TICKET_KEY_SIZE;
	if (t->n > TICKET_KEYS_MAX)
		t->n = TICKET_KEYS_MAX;
	memcpy(t->keys, keys.p, t->n * TICKET_KEY_SIZE);
}

struct str
tickets_keys(const struct tickets *t)
{
	return (struct str){ (const char *)t->keys, t->n * TICKET_KEY_SIZE };
}

static void
on_timer(void *ctx)
{
	struct gateway *gw = ctx;
	tickets_rotate(&gw->tickets);
	for (size_t i = 0; i < gw->nprocesses; i++)
		spawn_tell_tickets(&gw->processes[i]);
	log_debug(NULL, "tickets", "keys=%zu", gw->tickets.n);
	timer_set(gw->tickets.timer, TICKETS_ROTATE_MS);
}

void
tickets_start(struct gateway *gw)
{
	if (gw->tickets.n == 0)
		tickets_rotate(&gw->tickets);
	gw->tickets.timer = timer_new(gw->loop, on_timer, gw);
	timer_set(gw->tickets.timer, TICKETS_ROTATE_MS);
}
