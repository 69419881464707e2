/* Where mail would go: the rule that decides, why those before it did not, and
 * the next hops. */
#ifndef POSTERN_RESOLVER_EXPLAIN_H
#define POSTERN_RESOLVER_EXPLAIN_H

#include "lib/base/str.h"
#include "lib/mail/path.h"
#include "lib/rules/rules.h"
#include "resolver/peer.h"

/* What is known of the client besides, for those who ask why. */
struct explain_facts {
	struct str ptr; /* its name, confirmed or not */

	/* What each of config.dnsbls said, "a.example=127.0.0.2", silent ones
	 * counted; NULL: they were not asked. */
	const struct explain_list {
		struct str lists;
		unsigned int silent;
	} * lists;
};

/* The address at s and nothing else; flags: of enum path_flags, besides those
 * that every address of an administrator has. 0/-1 */
int explain_parse(struct str s, unsigned int flags, struct path *out);
/* Answers question id of this peer: the rows of ask_routes, for this recipient
 * (with a domain; in q, too) of this client. q, facts and `to' may go behind
 * it; the name servers are still asked then. */
void explain_start(struct peer *p, uint64_t id, struct config *config,
    const struct rules_query *q, const struct explain_facts *facts,
    struct path *to);
/* The same, as for a local client. */
void explain_routes(struct peer *p, uint64_t id, struct str address);

#endif
