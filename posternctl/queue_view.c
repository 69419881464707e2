/* show queue, show envelope: rows of messages and their recipients. */
#include <stdio.h>

#include "lib/base/clock.h"
#include "posternctl/commands.h"
#include "posternctl/mail_view.h"
#include "posternctl/names.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

static uint64_t
age_s(const struct mail_view *l, uint64_t since_ms)
{
	return since_ms < l->now_ms ? (l->now_ms - since_ms) / 1000 : 0;
}

/* --- as JSON --- */

static void
json_message(struct mail_view *l, const struct row_message *m)
{
	mail_view_end(l);
	json_open(&l->j, '{');
	json_key_str(&l->j, "id", m->msgid);
	json_key_number(&l->j, "age", age_s(l, m->received_ms));
	json_key_number(&l->j, "size", m->size);
	json_key_str(&l->j, "from", m->from);
	json_key_str(&l->j, "state", str_of(name_message_state(m->state)));
	json_key(&l->j, "received");
	json_time(&l->j, m->received_ms);
	json_key_str(&l->j, "client", m->client);
	if (l->one) {
		json_key_str(&l->j, "client_name", m->client_name);
		json_key_str(&l->j, "listener", m->listener);
		json_key_str(&l->j, "user", m->user);
		json_key(&l->j, "tls");
		json_bool(&l->j, (m->flags & ENVELOPE_TLS) != 0);
		json_key(&l->j, "8bitmime");
		json_bool(&l->j, (m->flags & ENVELOPE_8BIT) != 0);
		json_key(&l->j, "smtputf8");
		json_bool(&l->j, (m->flags & ENVELOPE_SMTPUTF8) != 0);
	}
	json_key(&l->j, "recipients");
	json_open(&l->j, '[');
}

static void
json_rcpt(struct mail_view *l, const struct row_rcpt *r)
{
	json_open(&l->j, '{');
	json_key_str(&l->j, "to", r->to);
	json_key_str(&l->j, "state", str_of(rcpt_state_name(r->state)));
	json_key_number(&l->j, "attempts", r->attempts);
	json_key(&l->j, "next");
	json_time(&l->j, r->next_ms);
	json_key_str(&l->j, "reply", r->reply);
	json_key_str(&l->j, "action", r->action);
	json_key_str(&l->j, "relay", r->relay);
	json_close(&l->j, '}');
}

/* --- as text --- */

static void
text_message(struct mail_view *l, const struct row_message *m)
{
	char size[24], age[24];

	if (l->n == 0) {
		buf_addf(&l->line, "%-17s%-6s%-7s%-12s%s", "ID", "AGE", "SIZE",
		    "STATE", "FROM");
		text_end_line(out_buf(), &l->line);
	}
	text_add(&l->line, m->msgid);
	buf_addf(&l->line, " %-5s %-6s %-11s ",
	    text_duration(age_s(l, m->received_ms), age),
	    text_size(m->size, size), name_message_state(m->state));
	text_add_address(&l->line, m->from);
	text_end_line(out_buf(), &l->line);
}

static void
add_next(const struct mail_view *l, struct buf *line, uint64_t next_ms)
{
	char in[24];

	if (next_ms == 0)
		return;
	if (next_ms <= l->now_ms)
		buf_add_str(line, STR(", next try now"));
	else
		buf_addf(line, ", next try in %s",
		    text_duration((next_ms - l->now_ms) / 1000, in));
}

static void
text_rcpt(struct mail_view *l, const struct row_rcpt *r)
{
	buf_add_str(&l->line, STR("    to "));
	text_add_address(&l->line, r->to);
	buf_addf(&l->line, " %s", rcpt_state_name(r->state));
	if (r->attempts > 0)
		buf_addf(&l->line, ", %u %s", r->attempts,
		    r->attempts == 1 ? "try" : "tries");
	add_next(l, &l->line, r->next_ms);
	text_end_line(out_buf(), &l->line);
	if (r->reply.len == 0)
		return;
	buf_add_str(&l->line, STR("        "));
	text_add(&l->line, r->reply);
	text_end_line(out_buf(), &l->line);
}

static void
text_envelope(struct mail_view *l, const struct row_message *m)
{
	char text[32], age[24];

	out_field("id", m->msgid);
	out_field("from", m->from);
	clock_format_rfc3339(m->received_ms, text);
	out_field("received", str_of(text));
	out_field("age", str_of(text_duration(age_s(l, m->received_ms), age)));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)m->size);
	out_field("size", str_of(text));
	out_field("state", str_of(name_message_state(m->state)));
	out_field("client", m->client);
	if (m->client_name.len > 0)
		out_field("name", m->client_name);
	out_field("listener", m->listener);
	if (m->user.len > 0)
		out_field("user", m->user);
	if (m->flags & ENVELOPE_TLS)
		out_field("over", STR("tls"));
	if (m->flags & ENVELOPE_8BIT)
		out_field("body", STR("8bitmime"));
	if (m->flags & ENVELOPE_SMTPUTF8)
		out_field("names", STR("smtputf8"));
}

static void
text_envelope_rcpt(const struct row_rcpt *r)
{
	char text[32];

	out_field("to", r->to);
	out_field("  state", str_of(rcpt_state_name(r->state)));
	out_field("  action", r->action);
	snprintf(text, sizeof(text), "%u", r->attempts);
	out_field("  tries", str_of(text));
	if (r->next_ms > 0) {
		clock_format_rfc3339(r->next_ms, text);
		out_field("  next", str_of(text));
	}
	if (r->relay.len > 0)
		out_field("  relay", r->relay);
	if (r->reply.len > 0)
		out_field("  reply", r->reply);
}

/* --- both --- */

static void
on_message(struct mail_view *l, const struct row_message *m)
{
	if (l->json)
		json_message(l, m);
	else if (l->one)
		text_envelope(l, m);
	else
		text_message(l, m);
	l->n++;
}

static void
on_rcpt(struct mail_view *l, const struct row_rcpt *r)
{
	if (l->json)
		json_rcpt(l, r);
	else if (l->one)
		text_envelope_rcpt(r);
	else
		text_rcpt(l, r);
}

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct mail_view *l = ctx;

	if (type == TYPE_row_message)
		on_message(l, msg);
	else if (type == TYPE_row_rcpt && l->n > 0)
		on_rcpt(l, msg);
}

int
show_queue(const struct call *c)
{
	return mail_view_list(c, TYPE_ask_queue, on_row);
}

int
show_envelope(const struct call *c)
{
	return mail_view_one(c, TYPE_ask_queue, on_row, "no such message");
}
