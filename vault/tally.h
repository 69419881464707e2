/* What a vault counts. */
#ifndef POSTERN_VAULT_TALLY_H
#define POSTERN_VAULT_TALLY_H

#include "lib/base/counter.h"

enum tally {
	TALLY_SIGNATURES,  /* made */
	TALLY_PASSWORDS,   /* tried, and proofs of SCRAM */
	TALLY_CREDENTIALS, /* lent */
	TALLY_BUSY,        /* turned away: too many waited */
	TALLY_FAILURES,    /* could not be answered: no such key, bad value */
	TALLY_COUNT
};

void tally_add(enum tally what);
/* Ended by a NULL name. */
const struct counter *tally_counters(void);

#endif
