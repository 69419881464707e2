/*
 * The PROXY protocol, version 1 and 2: what a balancer says of the client
 * before the client says anything. Malformed, the connection ends.
 */
#ifndef POSTERN_SMTPD_PROXY_H
#define POSTERN_SMTPD_PROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"

struct session;

/* Must this connection begin with a header? */
bool proxy_is_due(const struct session *s);
/* For the table of states: SESSION_PROXY. */
size_t proxy_input(struct session *s, struct str in);
void proxy_timeout(struct session *s);

#endif
