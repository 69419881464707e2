/* Which maildir or mda process serves which action: one for each user. */
#ifndef POSTERN_RULES_INSTANCE_H
#define POSTERN_RULES_INSTANCE_H

#include <stdint.h>

#include "lib/rules/config.h"

/* How many processes the configuration needs for its actions of this kind
 * (ACTION_MAILDIR, ACTION_MDA): their distinct users (no user counts as
 * one). */
uint16_t config_agent_count(const struct config *c, enum action_kind kind);
/* The instance of the process that serves this maildir or mda action. */
uint16_t config_agent_instance(const struct config *c, const struct action *a);
/* The action of that name, if it is of this kind and that process serves it;
 * else NULL. Between two configurations an agent and the queue may not be of
 * one mind about it. */
const struct action *config_agent_action(const struct config *c,
    struct str name, enum action_kind kind, uint16_t instance);
/* Whose process that is; NULL: no user was said. */
const char *config_agent_user(
    const struct config *c, enum action_kind kind, uint16_t instance);

#endif
