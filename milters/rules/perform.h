/* What was judged is done, through libmilter. */
#ifndef POSTERN_MILTERS_RULES_PERFORM_H
#define POSTERN_MILTERS_RULES_PERFORM_H

#include <libmilter/mfapi.h>

#include "milters/rules/seen.h"

/* What becomes of each field of the mail. */
struct field_fate {
	bool remove;
	const char *value; /* a new one; NULL: as it was */
};

/* Removals and replacements of all rules together, by field; replacements of
 * what is not there are left to the caller: absent[i] for edit i. Pure. */
void plan_fields(const struct seen *s, const struct judgement *j,
    struct field_fate *fates, bool *absent);
/* The edits, and the decision. */
sfsistat perform(SMFICTX *ctx, const struct seen *s, const struct judgement *j);

#endif
