/* The next hops of a relay action, as URLs. */
#ifndef POSTERN_POSTERND_CONF_HOPS_H
#define POSTERN_POSTERND_CONF_HOPS_H

#include "lib/base/fault.h"
#include "lib/base/str.h"

/* One or more URLs separated by blanks, each of a kind that there is. */
int conf_hops_check(struct str hops, struct fault *why);

#endif
