/*
 * The PROXY protocol, version 1 and 2: what a balancer says of the client
 * before the client says anything. Malformed, the connection ends.
 */
#ifndef POSTERN_SMTPD_PROXY_H
#define POSTERN_SMTPD_PROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"
#include "lib/net/addr.h"
#include "lib/rules/config.h"

struct proxy; /* a header that comes in */
struct session;

/* Must a connection from here begin with a header? */
bool proxy_is_due(const struct listener *l, const struct addr *peer);
/* Waits for it: SESSION_PROXY; once proxy_is_done, opening_next is due at the
 * end of the round. Not one byte behind the header is read. */
void proxy_start(struct session *s);
bool proxy_is_done(const struct session *s);
/* Clears the pointer; NULL is allowed. */
void proxy_free(struct proxy **p);
/* For the table of states: SESSION_PROXY. */
size_t proxy_input(struct session *s, struct str in);
void proxy_timeout(struct session *s);

#endif
