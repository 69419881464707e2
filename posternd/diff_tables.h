/* What two configurations have in the tables of one name. */
#ifndef POSTERN_POSTERND_DIFF_TABLES_H
#define POSTERN_POSTERND_DIFF_TABLES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/rules/config.h"

struct table_change {
	size_t added, removed, changed; /* entries */
};

/* Whether there is any; false also when one of them is not there. Values that
 * are for the vault alone are looked at, and not kept. */
bool diff_tables(const struct config *now, const struct config *next,
    const char *name, struct table_change *out);
/* Entries of the table of that name; 0: there is none. */
size_t diff_table_count(const struct config *c, const char *name);

#endif
