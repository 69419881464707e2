/* Mail to the postmaster of our domains (RFC 5321 4.5.1). */
#ifndef POSTERN_RULES_POSTMASTER_H
#define POSTERN_RULES_POSTMASTER_H

#include "lib/mail/path.h"
#include "lib/rules/rules.h"

/* When `to' is postmaster of a domain of ours, and a rule takes mail to the
 * configured address, then from anybody: that rule, and `to' is that address
 * (which lives as long as c, but for a quoted local part). Else NULL. */
const struct rule *postmaster_rule(
    const struct config *c, struct str helo, struct path *to);

#endif
