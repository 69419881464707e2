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
#define ASK_WAY(F)                                            \
	F(str, name, 255)                                     \
	F(u8, kind, WAY_HOST)                                 \
	F(u16, port, 65535) /* there; to know ourselves by */ \
	F(u8, dane, 1)      /* TLSA records, too (RFC 7672) */
WIRE_DECLARE(ask_way, ASK_WAY)

#define TELL_WAY_ADDR(F)                                         \
	F(str, host, 255)         /* whose address it is */      \
	F(u16, preference, 65535) /* of the MX; a host's is 0 */ \
	F(str, address, 64)
WIRE_DECLARE(tell_way_addr, TELL_WAY_ADDR)

/* What DNSSEC says of a host's TLSA records at the port that was asked for
 * (RFC 7672 2.2). A host of which tell_way_dane was not told: DANE_NONE. */
enum way_dane {
	DANE_NONE, /* none, securely or insecurely: as if there were no DANE */
	DANE_RECORDS,  /* tell_way_tlsa of it follow; at least one */
	DANE_UNUSABLE, /* there are, but none that we could go by: TLS is a
			* must, unverified */
	DANE_FAULT     /* no answer, or a bogus one: the host may not be used */
};

/* Of a host whose addresses were told; before the answer. */
#define TELL_WAY_DANE(F)                                                 \
	F(str, host, 255)                                                \
	F(u8, dane, DANE_FAULT)                                          \
	F(str, base, 255) /* TLSA base domain: the name to verify, which \
			   * a secure CNAME may have led to */
WIRE_DECLARE(tell_way_dane, TELL_WAY_DANE)

enum { WAY_TLSAS_MAX = 16, WAY_TLSA_DATA_MAX = 4096 };

/* Of the host named last: usage 2 or 3, selector and matching type that we
 * know, data of the right length. */
#define TELL_WAY_TLSA(F)   \
	F(u8, usage, 3)    \
	F(u8, selector, 1) \
	F(u8, matching, 2) \
	F(bin, data, WAY_TLSA_DATA_MAX)
WIRE_DECLARE(tell_way_tlsa, TELL_WAY_TLSA)

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
	F(u8, ad, 1)         /* the MX was authenticated (DNSSEC) */        \
	F(u8, partial, 1)    /* found, but a host has more that is not      \
				known now: no answer, or a temporary one */ \
	F(str, text, 200)    /* in words, for the reply, unless found */
WIRE_DECLARE(answer_way, ANSWER_WAY)

/* The TXT record of _smtp._tls below a domain that begins with v=TLSRPTv1
 * (RFC 8460 3): its whole text; empty: none, or several. */
#define ASK_TLS_RUA(F) F(str, domain, 255)
WIRE_DECLARE(ask_tls_rua, ASK_TLS_RUA)

#define ANSWER_TLS_RUA(F)  \
	F(str, text, 1024) \
	F(u32, ttl_s, 86400) /* 0: no answer, nothing is known */
WIRE_DECLARE(answer_tls_rua, ANSWER_TLS_RUA)

/* clang-format off */
#define DELIVERY_RESOLVER(M)                                                  \
	M(ask_way,       EDGE_A_TO_B, PHASE_RUN, 0)                           \
	M(tell_way_addr, EDGE_B_TO_A, PHASE_RUN, 0)                           \
	M(tell_way_dane, EDGE_B_TO_A, PHASE_RUN, 0)                           \
	M(tell_way_tlsa, EDGE_B_TO_A, PHASE_RUN, 0)                           \
	M(answer_way,    EDGE_B_TO_A, PHASE_RUN, 0)                           \
	M(ask_tls_rua,   EDGE_A_TO_B, PHASE_RUN, 0)                           \
	M(answer_tls_rua, EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(delivery_resolver, DELIVERY_RESOLVER)

#endif
