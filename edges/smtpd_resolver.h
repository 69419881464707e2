/* smtpd_resolver: a session (A) asks the resolver (B) who calls, and what
 * lists say of its address. */
#ifndef POSTERN_EDGES_SMTPD_RESOLVER_H
#define POSTERN_EDGES_SMTPD_RESOLVER_H

#include "lib/ipc/channel.h"
#include "lib/rules/rules.h"

/* The name of the client at this address: its PTR, confirmed when the name
 * has that address. Otherwise anybody could have written it. */
#define ASK_CLIENT(F) F(str, address, 64) /* text of IPv4 or IPv6 */
WIRE_DECLARE(ask_client, ASK_CLIENT)

#define ANSWER_CLIENT(F)                                                    \
	F(u8, state, CLIENT_NAME_FAULT) /* enum client_name, not PENDING */ \
	F(str, name, 255) /* confirmed or not; empty: no valid host name */ \
	F(u32, ttl_s, 86400)
WIRE_DECLARE(answer_client, ANSWER_CLIENT)

/* What the lists of this table (by name) say of the address, asked all at
 * once. A list that does not answer counts nothing. */
#define ASK_DNSBL(F)        \
	F(str, address, 64) \
	F(str, table, 255)
WIRE_DECLARE(ask_dnsbl, ASK_DNSBL)

enum { DNSBL_SCORE_MAX = 100000, DNSBL_SCORE_SPAN = 2 * DNSBL_SCORE_MAX };

#define ANSWER_DNSBL(F)                                                        \
	F(u32, score, DNSBL_SCORE_SPAN) /* DNSBL_SCORE_MAX added */            \
	F(str, lists, 512) /* that have it: "a.example b.example=127.0.0.4" */ \
	F(u8, silent, 64)  /* lists that did not answer */                     \
	F(u32, ttl_s, 86400)
WIRE_DECLARE(answer_dnsbl, ANSWER_DNSBL)

/* clang-format off */
#define SMTPD_RESOLVER(M)                                                     \
	M(ask_client,    EDGE_A_TO_B, PHASE_RUN, 0)                           \
	M(answer_client, EDGE_B_TO_A, PHASE_RUN, 0)                           \
	M(ask_dnsbl,     EDGE_A_TO_B, PHASE_RUN, 0)                           \
	M(answer_dnsbl,  EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(smtpd_resolver, SMTPD_RESOLVER)

#endif
