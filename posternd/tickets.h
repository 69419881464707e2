/*
 * The keys of TLS session tickets: random, the same for all smtpd, and new
 * every few hours. A ticket of the key before, and of the one before that, is
 * still good.
 */
#ifndef POSTERN_POSTERND_TICKETS_H
#define POSTERN_POSTERND_TICKETS_H

#include <stddef.h>
#include <stdint.h>

#include "edges/all_parent.h"
#include "lib/base/loop.h"
#include "lib/base/str.h"

struct gateway;

enum { TICKETS_ROTATE_MS = 8 * 3600 * 1000 };

/* In struct gateway; starts zeroed. */
struct tickets {
	struct timer *timer;                            /* until the next key */
	uint8_t keys[TICKET_KEYS_MAX][TICKET_KEY_SIZE]; /* newest first */
	size_t n;
};

/* Makes the first key, unless there are some of before a restart, and has it
 * replaced again and again. */
void tickets_start(struct gateway *gw);
/* These are what there is; a whole number of them. */
void tickets_take(struct tickets *t, struct str keys);
/* One more key in front; the oldest goes when there are too many. */
void tickets_rotate(struct tickets *t);
/* All of them, for tell_tickets. */
struct str tickets_keys(const struct tickets *t);

#endif
