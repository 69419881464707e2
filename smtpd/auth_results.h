/* Authentication-Results that claim to be ours (RFC 8601 5). */
#ifndef POSTERN_SMTPD_AUTH_RESULTS_H
#define POSTERN_SMTPD_AUTH_RESULTS_H

#include <stdbool.h>

#include "lib/base/str.h"

struct body;

/* Is this value of an Authentication-Results field by the service of this
 * name? Comments, folds and quotes are seen through; case does not count. */
bool auth_results_by(struct str value, struct str name);
/* Takes those by this name out of what the client sent. Returns how many. */
unsigned int auth_results_strip(struct body *b, struct str name);

#endif
