/* The `match` lines: who may send to whom, and which action takes it. */
#ifndef POSTERN_RULES_RULES_H
#define POSTERN_RULES_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/rules/config.h"

/* What is known of the client's name (its PTR, and whether that resolves back
 * to its address). */
enum client_name {
	CLIENT_NAME_NONE,        /* no PTR, or nobody asked */
	CLIENT_NAME_PENDING,     /* was asked for */
	CLIENT_NAME_UNCONFIRMED, /* a PTR that does not resolve back */
	CLIENT_NAME_CONFIRMED,
	CLIENT_NAME_FAULT /* could not be found out */
};

/* What is known of a recipient and its way in. */
struct rules_query {
	struct addr client; /* ADDR_LOCAL for the submit socket */
	enum client_name name_state;
	struct str name; /* of CLIENT_NAME_CONFIRMED */
	struct str helo;
	struct str tag;                     /* of the listener; empty: none */
	struct str from_local, from_domain; /* both empty: <> */
	struct str rcpt_local, rcpt_domain;
	struct str user; /* who has authenticated; empty: nobody */
	bool tls;
	bool early_talker;
	/* What the lists of config.dnsbls[i] say, or DNSBL_PENDING; NULL: they
	 * have not been asked, and have nothing against the client. */
	const int32_t *dnsbl;
};

enum { DNSBL_PENDING = INT32_MIN };

struct rules_verdict {
	const struct rule *rule; /* NULL: nothing matched (550 5.7.1) */
	bool by_rcpt;     /* VRFY may answer yes or no: what accepts has a
			   * `for rcpt` condition, or it is a refusal (of
			   * whatever rule, or because nothing matched) */
	bool needs_name;  /* undecided: a rule whose other conditions all hold
			   * asks for the client's name, whose state is PENDING
			   * or FAULT; rule is NULL then */
	bool needs_dnsbl; /* likewise: asks for a list that is PENDING; it may
			   * need both */
};

/* First match decides; pure. */
struct rules_verdict rules_decide(
    const struct config *c, const struct rules_query *q);
/* Is mail taken by this rule, for its action (if perhaps set aside)? */
bool rules_takes(const struct rule *r);
/* What a client is told whose mail it refuses (r NULL: no rule matched), with
 * code; NULL when it takes it. */
const char *rules_reply(const struct rule *r);
/* The same when a rule asks for the client's name, and that cannot be found
 * out. */
#define RULES_NAME_FAULT_REPLY \
	"451 4.4.3 Your address could not be looked up, try again later"
/* Does this one rule match? For the account of the ones passed over. */
bool rules_match(const struct rule *r, const struct rules_query *q);
/* The condition for which it does not; NULL when it matches. Those about the
 * client's name and DNS lists come behind all others, and last of all those of
 * them that are undecided, which do not hold. */
const struct cond *rules_first_miss(
    const struct rule *r, const struct rules_query *q);

#endif
