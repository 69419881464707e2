/* show sessions: who is connected, and how far. */
#include "edges/control_all.h"
#include "posternctl/out.h"
#include "posternctl/rows.h"
#include "posternctl/text.h"

static void
json_text(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	if (s.len > 0)
		json_str(j, s);
	else
		json_null(j);
}

static void
json_row(struct rows *r, const void *msg)
{
	const struct row_session *row = msg;

	json_key_str(&r->j, "session", row->session);
	json_key_str(&r->j, "client", row->client);
	json_key_number(&r->j, "port", row->port);
	json_text(&r->j, "helo", row->helo);
	json_key_str(&r->j, "state", row->state);
	json_text(&r->j, "tls", row->tls);
	json_text(&r->j, "auth", row->auth);
	json_key_number(&r->j, "age", row->age_ms / 1000);
	json_key_number(&r->j, "messages", row->messages);
	json_key_number(&r->j, "errors", row->errors);
	json_key_str(&r->j, "peer", row->peer);
	json_key_str(&r->j, "listener", row->listener);
	json_text(&r->j, "listed", row->listed);
}

static void
add_word(struct buf *line, const char *key, struct str value)
{
	if (value.len == 0)
		return;
	buf_addf(line, " %s=", key);
	text_add(line, value);
}

static void
text_row(struct rows *r, const void *msg)
{
	const struct row_session *row = msg;
	char age[24];

	text_add(&r->line, row->session);
	buf_addf(&r->line, " %-5s %-6u ",
	    text_duration(row->age_ms / 1000, age), row->messages);
	text_add(&r->line, row->state);
	text_pad(&r->line, 41);
	text_add(&r->line, row->client);
	add_word(&r->line, "helo", row->helo);
	add_word(&r->line, "tls", row->tls);
	add_word(&r->line, "auth", row->auth);
	add_word(&r->line, "listed", row->listed);
	if (row->errors > 0)
		buf_addf(&r->line, " errors=%u", row->errors);
	text_end_line(out_buf(), &r->line);
}

int
show_sessions(const struct call *c)
{
	static const struct ask_sessions m;
	static const struct rows_kind kind = { TYPE_ask_sessions,
		TYPE_row_session, &m, json_row, text_row,
		"SESSION          AGE   MAILS  STATE      CLIENT" };

	return rows_show(c, &kind);
}
