/* A packet of a name server, read: bytes become an answer. */
#ifndef POSTERN_RESOLVER_ANSWER_H
#define POSTERN_RESOLVER_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/str.h"
#include "resolver/dns.h"

enum {
	ANSWER_NAME_MAX = 1024, /* text of a name, every byte escaped */
	ANSWER_CHAIN_MAX = 16,  /* CNAMEs within one packet */
	ANSWER_NEGATIVE_MAX_S = 3 * 3600,
	ANSWER_NEGATIVE_S = 60 /* when no SOA says */
};

/* Where a chain of CNAMEs led that ended without an answer: to be asked. */
struct answer_chase {
	char target[ANSWER_NAME_MAX]; /* "": there is none */
	uint32_t ttl_s;               /* the shortest on the way to it */
	bool ad, trusted;
};

/* What the server sent for name (as a question holds it) and type: a new
 * answer, also for nonsense (DNS_FAULT). The AD bit counts when trust_ad.
 * When chase->target was set the answer is DNS_NODATA and not the last
 * word. */
struct dns_answer *answer_parse(struct str packet, struct str name,
    enum dns_type type, bool trust_ad, struct answer_chase *chase);
/* The same for what is only in the header; a packet too short has none. */
bool answer_is_truncated(struct str packet);
/* -1: too short. */
int answer_rcode(struct str packet);

/* Can a question hold that name (text without the last dot, no escapes)? */
bool answer_name_is_askable(struct str name);

#endif
