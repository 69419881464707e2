/* A row for each table that has a name. */
#include "posternd/control_tables.h"

#include "edges/control_all.h"

enum { FILE_SHOWN = 1024 }; /* bytes of its path */

void
control_tables_tell(struct channel *ch, const struct config *c, uint64_t id)
{
	for (size_t i = 0; i < c->ntables; i++) {
		const struct table *t = c->tables[i];
		struct row_table m = { .name = str_of(table_name(t)),
			.entries = table_count(t) };

		if (table_is_anonymous(t))
			continue;
		if (c->table_files != NULL)
			m.file =
			    str_head(str_of(c->table_files[i]), FILE_SHOWN);
		channel_tell(ch, TYPE_row_table, &m, id);
	}
}
