/* The channel to the dialer. */
#ifndef POSTERN_MILTERS_CLIENT_FROM_DIALER_H
#define POSTERN_MILTERS_CLIENT_FROM_DIALER_H

#include "edges/smtpd_dialer.h"

/* Takes the socket over; the channel before ends, and whoever waits for an
 * answer on it gets a fault. */
void from_dialer_start(struct loop *l, int socket);
void from_dialer_stop(void);
/* NULL: there is none now, or it has more than it can do. */
struct channel *from_dialer_channel(void);

#endif
