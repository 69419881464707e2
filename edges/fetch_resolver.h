/* fetch_resolver: the fetcher (A) asks the resolver (B) where a policy is. */
#ifndef POSTERN_EDGES_FETCH_RESOLVER_H
#define POSTERN_EDGES_FETCH_RESOLVER_H

#include "lib/ipc/channel.h"

enum { FETCH_ADDRS_MAX = 8, FETCH_TEXT_MAX = 512 };

/* The TXT records of a name: tell_sts_text for each, then answer_sts_texts. */
#define ASK_STS_TEXTS(F) F(str, name, 255)
WIRE_DECLARE(ask_sts_texts, ASK_STS_TEXTS)

#define TELL_STS_TEXT(F) F(str, text, FETCH_TEXT_MAX)
WIRE_DECLARE(tell_sts_text, TELL_STS_TEXT)

/* fault: a temporary one, nothing is known. */
#define ANSWER_STS_TEXTS(F) \
	F(u8, fault, 1)     \
	F(u32, ttl_s, 86400)
WIRE_DECLARE(answer_sts_texts, ANSWER_STS_TEXTS)

/* The addresses of a host: tell_sts_addr for each, then answer_sts_addrs. */
#define ASK_STS_ADDRS(F) F(str, name, 255)
WIRE_DECLARE(ask_sts_addrs, ASK_STS_ADDRS)

#define TELL_STS_ADDR(F) F(str, address, 64)
WIRE_DECLARE(tell_sts_addr, TELL_STS_ADDR)

#define ANSWER_STS_ADDRS(F) F(u8, fault, 1)
WIRE_DECLARE(answer_sts_addrs, ANSWER_STS_ADDRS)

/* clang-format off */
#define FETCH_RESOLVER(M)                                                     \
	M(ask_sts_texts,    EDGE_A_TO_B, PHASE_RUN, 0)                        \
	M(tell_sts_text,    EDGE_B_TO_A, PHASE_RUN, 0)                        \
	M(answer_sts_texts, EDGE_B_TO_A, PHASE_RUN, 0)                        \
	M(ask_sts_addrs,    EDGE_A_TO_B, PHASE_RUN, 0)                        \
	M(tell_sts_addr,    EDGE_B_TO_A, PHASE_RUN, 0)                        \
	M(answer_sts_addrs, EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(fetch_resolver, FETCH_RESOLVER)

#endif
