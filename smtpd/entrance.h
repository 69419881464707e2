/*
 * Who may come in: asked once for each connection, and again when it turns out
 * to be somebody else's (PROXY, XCLIENT). First the administrator's word, then
 * what there is room for, then the limits of each source.
 */
#ifndef POSTERN_SMTPD_ENTRANCE_H
#define POSTERN_SMTPD_ENTRANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/net/addr.h"
#include "lib/rules/config.h"

struct session;

/* What was found out; the reply and why live until the next question. */
struct entrance {
	const char *reply; /* NULL: come in */
	const char *why;   /* else: for the log */
	bool trusted;      /* always allowed */
	bool blocked;      /* the administrator said so */
	bool counted;      /* limits_leave is due, with this ticket */
	uint32_t ticket;
};

/* A client at this address has connected to l. */
void entrance_ask(struct entrance *e, const struct config *c,
    const struct listener *l, const struct addr *client);
/* A balancer has, on behalf of somebody whose name it will say: it is counted
 * as a connection of the gateway and no more. */
void entrance_ask_balancer(struct entrance *e, const struct config *c,
    const struct listener *l, const struct addr *balancer);
/* The session's client is another than was asked for. False: it may not come
 * in, and the session has ended. */
bool entrance_again(struct session *s);

#endif
