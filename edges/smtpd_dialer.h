/* smtpd_dialer: a session (A) asks the dialer (B) for a connection to a
 * filter. */
#ifndef POSTERN_EDGES_SMTPD_DIALER_H
#define POSTERN_EDGES_SMTPD_DIALER_H

#include "lib/ipc/channel.h"

/* Questions of one smtpd without their answer: as many connections may be on
 * their way to it. */
enum { DIALS_MAX = 4096 };

/* Filter and socket by name and index in the dialer's configuration. */
#define ASK_DIAL(F)        \
	F(str, milter, 64) \
	F(u8, socket, 255) \
	F(str, address, 255) /* of the socket, as configured: must agree */
WIRE_DECLARE(ask_dial, ASK_DIAL)

/* A socket, connected or on its way: whoever gets it waits for it. */
#define ANSWER_DIALED(F) F(fd, socket, 0)
WIRE_DECLARE(answer_dialed, ANSWER_DIALED)

/* It cannot be: no such filter, no such path, refused at once, no address, or
 * the dialer itself has not what it takes. */
#define ANSWER_NOT_DIALED(F)                                \
	F(u8, ours, 1) /* nothing is known of the filter */ \
	F(str, why, 200)
WIRE_DECLARE(answer_not_dialed, ANSWER_NOT_DIALED)

/* clang-format off */
#define SMTPD_DIALER(M)                                                       \
	M(ask_dial,          EDGE_A_TO_B, PHASE_RUN, 0)                       \
	M(answer_dialed,     EDGE_B_TO_A, PHASE_RUN, 0)                       \
	M(answer_not_dialed, EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(smtpd_dialer, SMTPD_DIALER)

#endif
