/*
 * Connections to the HTTP endpoint: so many, and none for longer than it has
 * reason to be there. Beyond the bound the one goes that has been silent
 * longest, so that who comes and asks is answered, whoever else sits around;
 * while all of them have just come, or wait for us, the door is shut. Who was
 * answered then does not stay: else those who ask without a pause would keep
 * their places for ever.
 *
 * evhttp makes and ends them; we hold a reference to each bufferevent, and
 * its socket is closed when we let go of it.
 */
#ifndef POSTERN_WEB_GUESTS_H
#define POSTERN_WEB_GUESTS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/loop.h"

struct bufferevent;
struct evconnlistener;
struct event_base;

enum {
	GUESTS_MAX = 64,
	/* For a whole request to come, after connecting or after the answer
	 * before, and for that to be read. */
	GUEST_PATIENCE_MS = 10000,
	/* Nobody goes before he had the time to say what he came for. */
	GUEST_GRACE_MS = 100,
	/* At the end: for the rest of a request to come, and for its answer to
	 * be read; and for one to begin. */
	GUEST_LAST_MS = 2000,
	GUEST_LAST_IDLE_MS = 300,
	/* Of what it says, waiting to be looked at. */
	GUEST_BYTES_MAX = 65536
};

/* door: where they come in. */
void guests_start(struct loop *l, struct evconnlistener *door);
void guests_stop(void);
/* For evhttp_set_bevcb. */
struct bufferevent *guest_new(struct event_base *base, void *unused);
/* A whole request came; its answer was written. */
void guest_asks(const struct bufferevent *bev);
void guest_answered(const struct bufferevent *bev);
size_t guests_count(void);
/* No place is free, or it is the end: who is answered has to go. */
bool guests_are_full(void);
/* From here on nobody stays longer than he has to. */
void guests_end(void);
/* The door is gone. */
void guests_shut(void);

#endif
