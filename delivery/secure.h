/* TLS of the connections to next hops, as their policies demand it. */
#ifndef POSTERN_DELIVERY_SECURE_H
#define POSTERN_DELIVERY_SECURE_H

#include <stdbool.h>

#include "delivery/conn.h"
#include "lib/base/fault.h"
#include "lib/net/tls_client.h"

/* Before the jail; from then on nobody is trusted. */
void secure_init(void);
/* Certificates of the authorities, read from fd (closed then), for
 * connections from now on. When it cannot be read the former ones stay. */
void secure_set_authorities(int fd);
/* What the authorities had to do with it, those of now would too: it may go on
 * with another mail. */
bool secure_is_current(const struct conn *c);
/* Begins the handshake that c->policy demands on c->stream; its on_secure
 * follows. 0, or -1 with why: it cannot even begin (secure_ended says what
 * that is in a report). */
int secure_start(struct conn *c, struct fault *why);
/* After on_secure (fault NULL: it is secured), once: what that is in a report,
 * and what of it was proven, in c->proven; the log's `tls' line. */
enum tls_result secure_ended(struct conn *c, const struct fault *why);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384 dane" for the results of c; "" in the clear.
 * The last word: dane, verified, or untrusted.
 * Returns out. */
enum { SECURE_TEXT_MAX = 128 };

const char *secure_format(
    const struct conn *c, char out[static SECURE_TEXT_MAX]);

#endif
