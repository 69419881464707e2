/* show destinations: where mail waits to go. */
#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

struct destination_view {
	bool json;
	struct json j;
	struct buf line;
	size_t n; /* rows so far */
};

/* A Maildir's has no next hop but its action. */
static struct str
name_of(const struct row_destination *row)
{
	return row->destination.len > 0 ? row->destination : row->action;
}

static void
json_row(struct destination_view *v, const struct row_destination *row)
{
	json_open(&v->j, '{');
	json_key_str(&v->j, "destination", name_of(row));
	json_key_str(&v->j, "action", row->action);
	json_key_number(&v->j, "queued", row->queued);
	json_key_number(&v->j, "active", row->active);
	json_key_number(&v->j, "connections", row->active);
	json_key_number(&v->j, "window", row->window);
	json_key_number(&v->j, "backoff", (row->backoff_ms + 999) / 1000);
	json_key_str(&v->j, "reply", row->reply);
	json_close(&v->j, '}');
}

static void
text_row(struct destination_view *v, const struct row_destination *row)
{
	char rest[24];

	if (v->n == 0) {
		buf_add_str(&v->line,
		    STR("QUEUED  ACTIVE  WINDOW  BACKOFF  DESTINATION"));
		text_end_line(out_buf(), &v->line);
	}
	buf_addf(&v->line, "%-7u %-7u %-7u %-8s ", row->queued, row->active,
	    row->window,
	    row->backoff_ms == 0 ?
		"-" :
		text_duration((row->backoff_ms + 999) / 1000, rest));
	text_add(&v->line, name_of(row));
	text_end_line(out_buf(), &v->line);
	if (row->reply.len == 0)
		return;
	buf_add_str(&v->line, STR("    "));
	text_add(&v->line, row->reply);
	text_end_line(out_buf(), &v->line);
}

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct destination_view *v = ctx;

	if (type != TYPE_row_destination)
		return;
	if (v->json)
		json_row(v, msg);
	else
		text_row(v, msg);
	v->n++;
}

int
show_destinations(const struct call *c)
{
	struct destination_view v = { .json = c->json,
		.j = { out_buf(), false } };
	struct ask_destinations m = { 0 };
	struct question q = { .type = TYPE_ask_destinations,
		.msg = &m,
		.on_row = on_row,
		.ctx = &v };
	struct answer answer;

	buf_init(&v.line, 8192);
	if (v.json)
		json_open(&v.j, '[');
	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	/* As for the queue: what was cut short is closed all the same. */
	if (v.json) {
		json_close(&v.j, ']');
		buf_add_char(out_buf(), '\n');
	}
	if (status != CTL_DONE && v.n == 0)
		buf_reset(out_buf());
	buf_clear(&v.line);
	return status;
}
