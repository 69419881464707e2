/* delivery_dialer: an agent (A), which sees no file, asks the dialer (B) for a
 * connection to a next hop that is a Unix socket. */
#ifndef POSTERN_EDGES_DELIVERY_DIALER_H
#define POSTERN_EDGES_DELIVERY_DIALER_H

#include "lib/ipc/channel.h"

/* The path stands among the next hops of that action in the dialer's
 * configuration (or in its table of routes): no other is dialed. */
#define ASK_DIAL_PATH(F)   \
	F(str, action, 64) \
	F(str, path, 107)
WIRE_DECLARE(ask_dial_path, ASK_DIAL_PATH)

/* A socket, connected or on its way: whoever gets it waits for it. */
#define ANSWER_PATH_DIALED(F) F(fd, socket, 0)
WIRE_DECLARE(answer_path_dialed, ANSWER_PATH_DIALED)

#define ANSWER_PATH_NOT_DIALED(F) F(str, why, 200)
WIRE_DECLARE(answer_path_not_dialed, ANSWER_PATH_NOT_DIALED)

/* clang-format off */
#define DELIVERY_DIALER(M)                                                    \
	M(ask_dial_path,          EDGE_A_TO_B, PHASE_RUN, 0)                  \
	M(answer_path_dialed,     EDGE_B_TO_A, PHASE_RUN, 0)                  \
	M(answer_path_not_dialed, EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(delivery_dialer, DELIVERY_DIALER)

#endif
