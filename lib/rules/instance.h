/* Which maildir process serves which action: one for each user. */
#ifndef POSTERN_RULES_INSTANCE_H
#define POSTERN_RULES_INSTANCE_H

#include <stdint.h>

#include "lib/rules/config.h"

/* How many maildir processes the configuration needs: its maildir actions'
 * distinct users (no user counts as one). */
uint16_t config_maildir_count(const struct config *c);
/* The instance of the maildir process that serves a maildir action. */
uint16_t config_maildir_instance(
    const struct config *c, const struct action *a);
/* Whose process that is; NULL: no user was said. */
const char *config_maildir_user(const struct config *c, uint16_t instance);

#endif
