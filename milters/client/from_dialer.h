/* The channel to the dialer. */
#ifndef POSTERN_MILTERS_CLIENT_FROM_DIALER_H
#define POSTERN_MILTERS_CLIENT_FROM_DIALER_H

#include "edges/smtpd_dialer.h"

/* Takes the socket over; the channel before ends, and whoever waits for an
 * answer on it gets a fault. */
struct channel *from_dialer_start(struct loop *l, int socket);
void from_dialer_stop(void);
bool from_dialer_is_there(void);
/* NULL: there is none now, or it has more than it can do, or it hangs. */
struct channel *from_dialer_channel(void);

/* How many answers there were. */
uint64_t from_dialer_heard(void);
void from_dialer_answered(void);
/* Somebody waited in vain, and nobody else was answered meanwhile: until the
 * next answer nobody waits for it. */
void from_dialer_is_silent(void);

#endif
