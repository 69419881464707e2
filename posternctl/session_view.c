/* show sessions: who is connected, and how far. */
#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

struct session_view {
	bool json;
	struct json j;
	struct buf line;
	size_t n; /* rows so far */
};

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
json_row(struct session_view *v, const struct row_session *row)
{
	json_open(&v->j, '{');
	json_key_str(&v->j, "session", row->session);
	json_key_str(&v->j, "client", row->client);
	json_key_number(&v->j, "port", row->port);
	json_text(&v->j, "helo", row->helo);
	json_key_str(&v->j, "state", row->state);
	json_text(&v->j, "tls", row->tls);
	json_text(&v->j, "auth", row->auth);
	json_key_number(&v->j, "age", row->age_ms / 1000);
	json_key_number(&v->j, "messages", row->messages);
	json_key_number(&v->j, "errors", row->errors);
	json_key_str(&v->j, "peer", row->peer);
	json_key_str(&v->j, "listener", row->listener);
	json_text(&v->j, "listed", row->listed);
	json_close(&v->j, '}');
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
text_row(struct session_view *v, const struct row_session *row)
{
	char age[24];

	if (v->n == 0) {
		buf_add_str(&v->line,
		    STR("SESSION          AGE   MAILS  STATE      CLIENT"));
		text_end_line(out_buf(), &v->line);
	}
	text_add(&v->line, row->session);
	buf_addf(&v->line, " %-5s %-6u ",
	    text_duration(row->age_ms / 1000, age), row->messages);
	text_add(&v->line, row->state);
	text_pad(&v->line, 41);
	text_add(&v->line, row->client);
	add_word(&v->line, "helo", row->helo);
	add_word(&v->line, "tls", row->tls);
	add_word(&v->line, "auth", row->auth);
	add_word(&v->line, "listed", row->listed);
	if (row->errors > 0)
		buf_addf(&v->line, " errors=%u", row->errors);
	text_end_line(out_buf(), &v->line);
}

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct session_view *v = ctx;

	if (type != TYPE_row_session)
		return;
	if (v->json)
		json_row(v, msg);
	else
		text_row(v, msg);
	v->n++;
}

int
show_sessions(const struct call *c)
{
	struct session_view v = { .json = c->json, .j = { out_buf(), false } };
	struct ask_sessions m = { 0 };
	struct question q = { .type = TYPE_ask_sessions,
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
	if (v.json) {
		json_close(&v.j, ']');
		buf_add_char(out_buf(), '\n');
	}
	if (status != CTL_DONE && v.n == 0)
		buf_reset(out_buf());
	buf_clear(&v.line);
	return status;
}
