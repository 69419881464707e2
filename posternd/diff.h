/*
 * What one configuration has otherwise than another: statement by statement,
 * tables by their entries, certificates and keys by their files. Names of
 * things, counts and settings; never the values of tables, or anything else
 * that may be secret.
 */
#ifndef POSTERN_POSTERND_DIFF_H
#define POSTERN_POSTERND_DIFF_H

#include <stddef.h>

#include "edges/control_rows.h"
#include "lib/rules/config.h"

enum { DIFF_ROWS_MAX = 1000 };

struct diff_row {
	enum diff_sign sign;
	char *where; /* of the new one if it is there; may be "" */
	char *text;
};

/* Starts zeroed; the owner clears it. Behind DIFF_ROWS_MAX rows there is one
 * that says how many more there are. */
struct diff {
	struct diff_row *rows;
	size_t nrows;
	size_t total;
};

/* Adds to d what next has otherwise than now: what is gone, then the rest in
 * the order of next. */
void diff_make(
    const struct config *now, const struct config *next, struct diff *d);
void diff_clear(struct diff *d);
/* An event `config-change' for each. */
void diff_log(const struct diff *d);
/* "added", "removed", "changed" */
const char *diff_sign_text(enum diff_sign sign);

#endif
