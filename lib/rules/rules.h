/* The `match` lines: who may send to whom, and which action takes it. */
#ifndef POSTERN_RULES_RULES_H
#define POSTERN_RULES_RULES_H

#include <stdbool.h>

#include "lib/rules/config.h"

/* What is known of a recipient and its way in. */
struct rules_query {
	struct addr client; /* ADDR_LOCAL for the submit socket */
	struct str helo;
	struct str tag;                     /* of the listener; empty: none */
	struct str from_local, from_domain; /* both empty: <> */
	struct str rcpt_local, rcpt_domain;
};

struct rules_verdict {
	const struct rule *rule; /* NULL: nothing matched (550 5.7.1) */
	bool by_rcpt; /* VRFY may answer yes or no: what accepts has a
		       * `for rcpt` condition, or it is a refusal (of
		       * whatever rule, or because nothing matched) */
};

/* First match decides; pure. */
struct rules_verdict rules_decide(
    const struct config *c, const struct rules_query *q);
/* Does this one rule match? For the account of the ones passed over. */
bool rules_match(const struct rule *r, const struct rules_query *q);

#endif
