/* delivery_resolver: an agent (A) asks the resolver (B) for the way to a next
 * hop that has a name. */
#ifndef POSTERN_EDGES_DELIVERY_RESOLVER_H
#define POSTERN_EDGES_DELIVERY_RESOLVER_H

#include "lib/ipc/channel.h"

/* Limits of one route: hosts, addresses of each, and addresses in all. */
enum { WAY_HOSTS_MAX = 20, WAY_ADDRS_MAX = 10, WAY_ALL_MAX = 50 };

/* An answer that takes longer comes too late. */
enum { WAY_PATIENCE_MS = 30000 };

enum way_kind {
	WAY_MX,  /* a mail domain: MX, or its addresses when it has none */
	WAY_HOST /* a host: its addresses */
};

/* Answered by any number of tell_way_addr under the request's id, in the
 * order of preference, the addresses of one host together, and then
 * answer_way. What leads back to us was left out (RFC 5321 5.1). */
#define ASK_WAY(F)            \
	F(str, name, 255)     \
	F(u8, kind, WAY_HOST) \
	F(u16, port, 65535) /* there; to know ourselves by */
WIRE_DECLARE(ask_way, ASK_WAY)

#define TELL_WAY_ADDR(F)                                         \
	F(str, host, 255)         /* whose address it is */      \
	F(u16, preference, 65535) /* of the MX; a host's is 0 */ \
	F(str, address, 64)
WIRE_DECLARE(tell_way_addr, TELL_WAY_ADDR)

enum way_result {
	WAY_FOUND,
	WAY_FAULT,      /* 4.4.3: no answer, or a temporary one */
	WAY_NO_DOMAIN,  /* 5.1.2: the domain does not exist */
	WAY_NO_MAIL,    /* 5.1.10: null MX (RFC 7505) */
	WAY_NO_ADDRESS, /* 5.4.4: no host of it has a usable address */
	WAY_LOOP        /* 5.4.6: we are the best (RFC 5321 5.1) */
};

#define ANSWER_WAY(F)                                                       \
	F(u8, result, WAY_LOOP)                                             \
	F(u32, ttl_s, 86400) /* how long it may be remembered */            \
	F(u8, ad, 1)         /* all of it was authenticated (DNSSEC) */     \
	F(u8, partial, 1)    /* found, but a host has more that is not      \
				known now: no answer, or a temporary one */ \
	F(str, text, 200)    /* in words, for the reply, unless found */
WIRE_DECLARE(answer_way, ANSWER_WAY)

/* clang-format off */
#define DELIVERY_RESOLVER(M)                                                  \
	M(ask_way,       EDGE_A_TO_B, PHASE_RUN, 0)                           \
	M(tell_way_addr, EDGE_B_TO_A, PHASE_RUN, 0)                           \
	M(answer_way,    EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(delivery_resolver, DELIVERY_RESOLVER)

#endif
