/* quarantine list, quarantine show: what was set aside, and why. */
#include "lib/base/clock.h"
#include "posternctl/commands.h"
#include "posternctl/mail_view.h"
#include "posternctl/names.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

/* --- as JSON --- */

static void
json_mail(struct mail_view *v, const struct row_quarantined *row)
{
	mail_view_end(v);
	json_open(&v->j, '{');
	json_key_str(&v->j, "id", row->msgid);
	json_key_str(&v->j, "from", row->from);
	json_key_number(&v->j, "size", row->size);
	json_key_str(&v->j, "filter", row->filter);
	json_key_str(&v->j, "reason", row->reason);
	json_key(&v->j, "since");
	json_time(&v->j, row->since_ms);
	json_key(&v->j, "expires");
	json_time(&v->j, row->expires_ms);
	json_key(&v->j, "recipients");
	json_open(&v->j, '[');
}

static void
json_rcpt(struct mail_view *v, const struct row_rcpt *row)
{
	json_open(&v->j, '{');
	json_key_str(&v->j, "to", row->to);
	json_key_str(&v->j, "state", str_of(rcpt_state_name(row->state)));
	json_key_str(&v->j, "action", row->action);
	json_close(&v->j, '}');
}

/* --- as text --- */

static void
end_line(struct mail_view *v)
{
	text_end_line(out_buf(), &v->line);
}

static void
text_mail(struct mail_view *v, const struct row_quarantined *row)
{
	uint64_t age =
	    row->since_ms < v->now_ms ? (v->now_ms - row->since_ms) / 1000 : 0;
	uint64_t left = row->expires_ms > v->now_ms ?
			    (row->expires_ms - v->now_ms) / 1000 :
			    0;
	char size[24], since[24], expires[24];

	if (v->n == 0) {
		buf_addf(&v->line, "%-17s%-6s%-8s%-7s%s", "ID", "AGE",
		    "EXPIRES", "SIZE", "FROM");
		end_line(v);
	}
	text_add(&v->line, row->msgid);
	buf_addf(&v->line, " %-5s %-7s %-6s ", text_duration(age, since),
	    row->expires_ms == 0 ? "never" : text_duration(left, expires),
	    text_size(row->size, size));
	text_add_address(&v->line, row->from);
	end_line(v);
	buf_add_str(&v->line, STR("    "));
	text_add(&v->line, row->filter);
	buf_add_str(&v->line, STR(": "));
	text_add(&v->line, row->reason);
	end_line(v);
}

static void
text_rcpt(struct mail_view *v, const struct row_rcpt *row)
{
	buf_add_str(&v->line, STR("    to "));
	text_add_address(&v->line, row->to);
	if (row->state != RCPT_QUARANTINED)
		buf_addf(&v->line, " %s", rcpt_state_name(row->state));
	end_line(v);
}

static void
time_field(const char *name, uint64_t wall_ms)
{
	char text[25];

	clock_format_rfc3339(wall_ms, text);
	out_field(name, wall_ms == 0 ? STR("never") : str_of(text));
}

static void
text_one(const struct row_quarantined *row)
{
	char size[24];

	out_field("id", row->msgid);
	out_field("from", row->from);
	out_field("size", str_of(text_size(row->size, size)));
	out_field("filter", row->filter);
	out_field("reason", row->reason);
	time_field("since", row->since_ms);
	time_field("expires", row->expires_ms);
}

static void
text_one_rcpt(const struct row_rcpt *row)
{
	out_field("to", row->to);
	out_field("  state", str_of(rcpt_state_name(row->state)));
	out_field("  action", row->action);
}

/* --- both --- */

static void
on_mail(struct mail_view *v, const struct row_quarantined *row)
{
	if (v->json)
		json_mail(v, row);
	else if (v->one)
		text_one(row);
	else
		text_mail(v, row);
	v->n++;
}

static void
on_rcpt(struct mail_view *v, const struct row_rcpt *row)
{
	if (v->json)
		json_rcpt(v, row);
	else if (v->one)
		text_one_rcpt(row);
	else
		text_rcpt(v, row);
}

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct mail_view *v = ctx;

	if (type == TYPE_row_quarantined)
		on_mail(v, msg);
	else if (type == TYPE_row_rcpt && v->n > 0)
		on_rcpt(v, msg);
}

int
quarantine_list(const struct call *c)
{
	return mail_view_list(c, TYPE_ask_quarantine, on_row);
}

int
quarantine_show(const struct call *c)
{
	return mail_view_one(
	    c, TYPE_ask_quarantine, on_row, "not in the quarantine");
}
