/* show tables: what they are called, and how much is in them. */
#include "edges/control_all.h"
#include "posternctl/out.h"
#include "posternctl/rows.h"
#include "posternctl/text.h"

static void
json_row(struct rows *r, const void *msg)
{
	const struct row_table *row = msg;

	json_key_str(&r->j, "table", row->name);
	json_key_number(&r->j, "entries", row->entries);
	json_key_str_or_null(&r->j, "file", row->file);
}

static void
text_row(struct rows *r, const void *msg)
{
	const struct row_table *row = msg;

	buf_addf(&r->line, "%-9llu ", (unsigned long long)row->entries);
	text_add(&r->line, row->name);
	if (row->file.len > 0) {
		text_pad(&r->line, 27);
		text_add(&r->line, row->file);
	}
	text_end_line(out_buf(), &r->line);
}

int
show_tables(const struct call *c)
{
	static const struct ask_tables m;
	static const struct rows_kind kind = { TYPE_ask_tables, TYPE_row_table,
		&m, json_row, text_row, "ENTRIES   TABLE            FILE" };

	return rows_show(c, &kind);
}
