/* dialer_resolver: the dialer (A) asks the resolver (B) for the addresses of
 * a filter's host. */
#ifndef POSTERN_EDGES_DIALER_RESOLVER_H
#define POSTERN_EDGES_DIALER_RESOLVER_H

#include "lib/ipc/channel.h"

enum { HOST_ADDRS_MAX = 16 };

/* Answered by tell_host_addr, any number, and answer_host under its id. */
#define ASK_HOST(F)       \
	F(str, name, 255) \
	F(u8, ipv6, 1) /* AAAA, else A */
WIRE_DECLARE(ask_host, ASK_HOST)

#define TELL_HOST_ADDR(F) F(str, address, 64)
WIRE_DECLARE(tell_host_addr, TELL_HOST_ADDR)

#define ANSWER_HOST(F)                                           \
	F(u8, found, 1) /* whole; else why not, and ttl_s 0 when \
			 * that may change at once */            \
	F(u32, ttl_s, 86400)                                     \
	F(str, text, 200)
WIRE_DECLARE(answer_host, ANSWER_HOST)

/* clang-format off */
#define DIALER_RESOLVER(M)                                                    \
	M(ask_host,       EDGE_A_TO_B, PHASE_RUN, 0)                          \
	M(tell_host_addr, EDGE_B_TO_A, PHASE_RUN, 0)                          \
	M(answer_host,    EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(dialer_resolver, DIALER_RESOLVER)

#endif
