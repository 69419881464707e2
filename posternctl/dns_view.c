/* resolve, show routes: what the resolver says. */
#include <stdio.h>
#include <string.h>

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
	bool is_found; /* there are records; a rule decides */
	bool in_hops;
	size_t nhops;
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

/* The gateway reads no more than that. */
static bool
fits(const char *word, size_t max)
{
	if (strlen(word) <= max)
		return true;
	complain("longer than %zu bytes: %.40s...", max, word);
	return false;
}

/* --- resolve --- */

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
	text_end_line(out_buf(), &v->line);
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

	if (!fits(c->argv[0], 255) || !fits(c->argv[1], 16))
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

/* --- show routes --- */

static void
json_key_str_or_null(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	if (s.len == 0)
		json_null(j);
	else
		json_str(j, s);
}

static void
rule_json(struct dns_view *v, const struct row_rule *row)
{
	json_open(&v->j, '{');
	json_key(&v->j, "rule");
	if (v->is_found) {
		json_open(&v->j, '{');
		json_key_number(&v->j, "line", row->line);
		json_key_str(&v->j, "text", row->text);
		json_close(&v->j, '}');
	} else {
		json_null(&v->j);
	}
	json_key_str_or_null(&v->j, "action", row->action);
	if (row->reply.len > 0)
		json_key_str(&v->j, "reply", row->reply);
	json_key(&v->j, "passed_over");
	json_open(&v->j, '[');
}

static void
on_rule(struct dns_view *v, const struct row_rule *row)
{
	v->has_begun = true;
	v->is_found = row->line > 0;
	if (v->json) {
		rule_json(v, row);
		return;
	}
	if (v->is_found) {
		buf_addf(&v->line, "line %u: ", row->line);
		text_add(&v->line, row->text);
	} else {
		buf_add_str(&v->line, STR("no rule matches"));
	}
	text_end_line(out_buf(), &v->line);
	if (row->action.len > 0) {
		buf_add_str(&v->line, STR("action "));
		text_add(&v->line, row->action);
	} else {
		buf_add_str(&v->line, STR("refused "));
		text_add(&v->line, row->reply);
	}
	text_end_line(out_buf(), &v->line);
}

static void
on_passed(struct dns_view *v, const struct row_passed *row)
{
	if (v->json) {
		json_open(&v->j, '{');
		json_key_number(&v->j, "line", row->line);
		json_key_str(&v->j, "why", row->why);
		json_close(&v->j, '}');
		return;
	}
	buf_addf(&v->line, "passed over line %u: ", row->line);
	text_add(&v->line, row->why);
	text_end_line(out_buf(), &v->line);
}

static void
begin_hops(struct dns_view *v)
{
	if (v->in_hops)
		return;
	v->in_hops = true;
	if (v->json) {
		json_close(&v->j, ']');
		json_key(&v->j, "hops");
		json_open(&v->j, '[');
	}
}

static void
hop_json(struct dns_view *v, const struct row_hop *row)
{
	json_open(&v->j, '{');
	json_key_str(&v->j, "host", row->host);
	json_key_str_or_null(&v->j, "address", row->address);
	json_key_number(&v->j, "port", row->port);
	json_key_number(&v->j, "preference", row->preference);
	json_key_str(&v->j, "tls", row->tls);
	if (row->why.len > 0)
		json_key_str(&v->j, "why", row->why);
	json_close(&v->j, '}');
}

static void
hop_text(struct dns_view *v, const struct row_hop *row)
{
	bool is_v6 = str_find(row->address, ':') < row->address.len;

	if (v->nhops++ == 0) {
		buf_add_str(
		    &v->line, STR("PREF   HOST                             "
				  "TLS            ADDRESS"));
		text_end_line(out_buf(), &v->line);
	}
	buf_addf(&v->line, "%u", row->preference);
	text_pad(&v->line, 7);
	text_add(&v->line, row->host);
	text_pad(&v->line, 40);
	text_add(&v->line, row->tls);
	text_pad(&v->line, 55);
	if (is_v6)
		buf_add_char(&v->line, '[');
	text_add(&v->line, row->address);
	if (is_v6)
		buf_add_char(&v->line, ']');
	if (row->address.len > 0)
		buf_addf(&v->line, ":%u", row->port);
	else
		buf_add_char(&v->line, '-');
	if (row->why.len > 0) {
		buf_add_str(&v->line, STR(" ("));
		text_add(&v->line, row->why);
		buf_add_char(&v->line, ')');
	}
	text_end_line(out_buf(), &v->line);
}

static void
on_hop(struct dns_view *v, const struct row_hop *row)
{
	begin_hops(v);
	if (v->json)
		hop_json(v, row);
	else
		hop_text(v, row);
}

static void
on_routes_row(void *ctx, uint16_t type, const void *msg)
{
	struct dns_view *v = ctx;

	if (type == TYPE_row_rule && !v->has_begun)
		on_rule(v, msg);
	else if (type == TYPE_row_passed && v->has_begun && !v->in_hops)
		on_passed(v, msg);
	else if (type == TYPE_row_hop && v->has_begun)
		on_hop(v, msg);
}

int
show_routes(const struct call *c)
{
	struct dns_view v;

	if (!fits(c->argv[0], ENVELOPE_ADDRESS_MAX))
		return CTL_USAGE;
	struct ask_routes m = { .address = str_of(c->argv[0]) };
	int status = run(c, &v, TYPE_ask_routes, &m, on_routes_row);
	if (v.json && v.has_begun) {
		begin_hops(&v);
		json_close(&v.j, ']');
		json_close(&v.j, '}');
		buf_add_char(out_buf(), '\n');
	}
	buf_clear(&v.line);
	return status;
}
