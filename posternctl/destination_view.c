/* show destinations: where mail waits to go. */
#include <stdio.h>

#include "edges/control_all.h"
#include "posternctl/out.h"
#include "posternctl/rows.h"
#include "posternctl/text.h"

/* A Maildir's has no next hop but its action. */
static struct str
name_of(const struct row_destination *row)
{
	return row->destination.len > 0 ? row->destination : row->action;
}

static void
json_row(struct rows *r, const void *msg)
{
	const struct row_destination *row = msg;

	json_key_str(&r->j, "destination", name_of(row));
	json_key_str(&r->j, "action", row->action);
	json_key_number(&r->j, "queued", row->queued);
	json_key_number(&r->j, "active", row->active);
	json_key_number(&r->j, "connections", row->active);
	json_key_number(&r->j, "window", row->window);
	json_key_number(&r->j, "backoff", (row->backoff_ms + 999) / 1000);
	json_key(&r->j, "paused");
	json_bool(&r->j, row->paused != 0);
	json_key_str(&r->j, "reply", row->reply);
}

static void
text_row(struct rows *r, const void *msg)
{
	const struct row_destination *row = msg;
	char rest[24] = "-";

	if (row->paused)
		snprintf(rest, sizeof(rest), "paused");
	else if (row->backoff_ms > 0)
		text_duration((row->backoff_ms + 999) / 1000, rest);

	buf_addf(&r->line, "%-7u %-7u %-7u %-8s ", row->queued, row->active,
	    row->window, rest);
	text_add(&r->line, name_of(row));
	text_end_line(out_buf(), &r->line);
	if (row->reply.len == 0)
		return;
	buf_add_str(&r->line, STR("    "));
	text_add(&r->line, row->reply);
	text_end_line(out_buf(), &r->line);
}

int
show_destinations(const struct call *c)
{
	static const struct ask_destinations m;
	static const struct rows_kind kind = { TYPE_ask_destinations,
		TYPE_row_destination, &m, json_row, text_row,
		"QUEUED  ACTIVE  WINDOW  BACKOFF  DESTINATION" };

	return rows_show(c, &kind);
}
