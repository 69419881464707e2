/* Asks the rules what becomes of a recipient of this session. */
#ifndef POSTERN_SMTPD_POLICY_H
#define POSTERN_SMTPD_POLICY_H

#include <stdbool.h>

#include "lib/mail/path.h"
#include "lib/rules/rules.h"
#include "smtpd/command.h"

struct session;

/* The verdict for rcpt, from the sender of the open transaction (<> without
 * one), over the configuration the session began with. DNS lists that were
 * waited for in vain have nothing against the client. */
struct rules_verdict policy_decide(
    const struct session *s, const struct path *rcpt);
/* The verdict needs the client's name, or what DNS lists say of it. */
bool policy_is_undecided(const struct rules_verdict *v);
/* c->verdict is such a one: c waits for what may still come, and is refused
 * when the name could not be found out. */
enum stage policy_need(const struct session *s, struct command *c);
/* Mail to postmaster of a domain of ours goes to the configured address,
 * from whomever it comes (RFC 5321 4.5.1). Returns whether p was such a one
 * and *verdict is an action that takes it; p is then that address (which
 * lives as long as the configuration, but for a quoted local part). */
bool policy_postmaster(
    const struct session *s, struct path *p, struct rules_verdict *verdict);
/* What is known of the client's name: one that was waited for in vain is
 * CLIENT_NAME_FAULT, not PENDING. */
enum client_name policy_name_state(const struct session *s);
/* An address without a domain gets the configuration's. */
void policy_complete(const struct session *s, struct path *p);

#endif
