/*
 * Do the name servers whose AD bit is believed (trust-ad) validate? Each of
 * them is asked for a signed name, and for a bogus one where there is one:
 * at the start, when they change, and every hour.
 */
#ifndef POSTERN_RESOLVER_VALIDATION_H
#define POSTERN_RESOLVER_VALIDATION_H

#include <stdbool.h>

#include "lib/base/counter.h"
#include "lib/base/loop.h"
#include "lib/rules/config.h"

enum validation {
	VALIDATION_NONE,    /* no server is believed, nothing was asked */
	VALIDATION_UNKNOWN, /* not yet, or they did not answer */
	VALIDATION_ON,
	VALIDATION_OFF /* one of them does not validate */
};

/* Before the jail, behind query_init. */
void validation_init(struct loop *l);
void validation_clear(void);
/* From now on, servers and names; what is the same stays as it is. Keeps a
 * reference. */
void validation_set_config(struct config *c);
enum validation validation_get(void);
/* Why it is not on, in words; "" when it is. */
const char *validation_why(void);
/* May TLSA records be looked for? Also while nothing is known: what has no AD
 * bit is insecure anyway. */
bool validation_allows_dane(void);
/* resolver.dnssec: 1 while it is on; ended by a NULL name. */
const struct counter *validation_counters(void);

#endif
