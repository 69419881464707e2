/* The next hops of a relay action. */
#ifndef POSTERN_POSTERND_CONF_HOPS_H
#define POSTERN_POSTERND_CONF_HOPS_H

#include <stdbool.h>

#include "lib/base/fault.h"
#include "lib/base/str.h"
#include "lib/rules/config.h"
#include "lib/rules/hop.h"

/* Blank-separated URLs, at least one, none that nobody may configure. */
int conf_hops_check(struct str hops, struct fault *why);
/* A question about one of them. */
typedef bool conf_hop_fn(const struct action *a, const struct hop_url *hop);
/* Is it true of any that the action names, itself or in its table? Which:
 * *url, which may be NULL. By MX there are none. */
bool conf_hops_any(const struct action *a, conf_hop_fn *fn, struct str *url);

#endif
