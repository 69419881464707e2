/* resolve: what the resolver says. */
#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

struct dns_view {
	bool json;
	struct json j;
	struct buf line;
	bool has_begun;
	bool is_found; /* there are records */
};

/* Asks, and prints by rows; what was opened is closed by the caller. */
static int
run(const struct call *c, struct dns_view *v, uint16_t type, const void *msg,
    row_fn *on_row)
{
	struct question q = {
		.type = type, .msg = msg, .on_row = on_row, .ctx = v
	};
	struct answer answer;

	*v = (struct dns_view){ .json = c->json, .j = { out_buf(), false } };
	buf_init(&v->line, 65536);
	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	return status == CTL_DONE && !v->is_found ? CTL_REFUSED : status;
}

static void
on_resolved(struct dns_view *v, const struct row_resolved *row)
{
	v->has_begun = true;
	v->is_found = str_eq(row->status, STR("ok"));
	if (v->json) {
		json_open(&v->j, '{');
		json_key_str(&v->j, "name", row->name);
		json_key_str(&v->j, "type", row->type);
		json_key_str(&v->j, "status", row->status);
		json_key(&v->j, "ad");
		json_bool(&v->j, row->ad != 0);
		json_key(&v->j, "records");
		json_open(&v->j, '[');
		return;
	}
	text_add(&v->line, row->name);
	buf_add_char(&v->line, ' ');
	text_add(&v->line, row->type);
	buf_add_str(&v->line, STR(": "));
	text_add(&v->line, row->status);
	if (row->ad)
		buf_add_str(&v->line, STR(", authenticated"));
	text_end_line(out_buf(), &v->line);
	if (!v->is_found)
		return;
	buf_add_str(&v->line, STR("TTL       DATA"));
	text_end_line(out_buf(), &v->line);
}

static void
on_record(struct dns_view *v, const struct row_record *row)
{
	if (v->json) {
		json_open(&v->j, '{');
		json_key_number(&v->j, "ttl", row->ttl_s);
		json_key_str(&v->j, "data", row->data);
		json_close(&v->j, '}');
		return;
	}
	buf_addf(&v->line, "%u", row->ttl_s);
	text_pad(&v->line, 10);
	text_add(&v->line, row->data);
	text_wrap_line(out_buf(), &v->line, 10);
}

static void
on_resolve_row(void *ctx, uint16_t type, const void *msg)
{
	struct dns_view *v = ctx;

	if (type == TYPE_row_resolved && !v->has_begun)
		on_resolved(v, msg);
	else if (type == TYPE_row_record && v->has_begun)
		on_record(v, msg);
}

int
do_resolve(const struct call *c)
{
	struct dns_view v;

	if (!word_fits(c->argv[0], 255) || !word_fits(c->argv[1], 16))
		return CTL_USAGE;
	struct ask_resolve m = { .name = str_of(c->argv[0]),
		.type = str_of(c->argv[1]) };
	int status = run(c, &v, TYPE_ask_resolve, &m, on_resolve_row);
	if (v.json && v.has_begun) {
		json_close(&v.j, ']');
		json_close(&v.j, '}');
		buf_add_char(out_buf(), '\n');
	}
	buf_clear(&v.line);
	return status;
}
