/* show sessions: who is connected, and how far; show session: what was said
 * there. */
#include "edges/control_all.h"
#include "lib/base/clock.h"
#include "posternctl/asking.h"
#include "posternctl/line_view.h"
#include "posternctl/out.h"
#include "posternctl/rows.h"
#include "posternctl/text.h"

static void
json_session(struct json *j, const struct row_session *row)
{
	json_key_str(j, "session", row->session);
	json_key_str(j, "client", row->client);
	json_key_number(j, "port", row->port);
	json_key_str_or_null(j, "helo", row->helo);
	json_key_str(j, "state", row->state);
	json_key_str_or_null(j, "tls", row->tls);
	json_key_str_or_null(j, "auth", row->auth);
	json_key_number(j, "age", row->age_ms / 1000);
	json_key_number(j, "messages", row->messages);
	json_key_number(j, "errors", row->errors);
	json_key_str(j, "peer", row->peer);
	json_key_str(j, "listener", row->listener);
	json_key_str_or_null(j, "listed", row->listed);
}

static void
json_row(struct rows *r, const void *msg)
{
	json_session(&r->j, msg);
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
add_words(struct buf *line, const struct row_session *row)
{
	text_add(line, row->client);
	add_word(line, "helo", row->helo);
	add_word(line, "tls", row->tls);
	add_word(line, "auth", row->auth);
	add_word(line, "listed", row->listed);
	if (row->errors > 0)
		buf_addf(line, " errors=%u", row->errors);
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
	add_words(&r->line, row);
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

/* --- one of them --- */

struct session_view {
	bool json;
	struct json j;
	struct buf line;
	uint64_t begin_ms; /* of its first line */
	size_t n;          /* lines so far */
	bool live;
};

/* It is there still: this comes before its lines. */
static void
on_live(struct session_view *v, const struct row_session *row)
{
	v->live = true;
	if (v->json) {
		json_session(&v->j, row);
		return;
	}
	buf_add_str(&v->line, STR("live, "));
	text_add(&v->line, row->state);
	buf_add_str(&v->line, STR(": "));
	add_words(&v->line, row);
	text_end_line(out_buf(), &v->line);
}

static void
open_lines(struct session_view *v)
{
	json_key(&v->j, "live");
	json_bool(&v->j, v->live);
	json_key(&v->j, "lines");
	json_open(&v->j, '[');
}

static void
begin_json(struct session_view *v, const struct row_line *row)
{
	if (!v->live) {
		json_key_str(&v->j, "session", row->session);
		json_key_str(&v->j, "client", row->client);
	}
	open_lines(v);
}

/* The one line with a date; the others count from there. */
static void
begin_text(struct session_view *v, const struct row_line *row)
{
	char time[25];

	clock_format_rfc3339(row->when_ms, time);
	text_add(&v->line, row->session);
	buf_addf(&v->line, " %s ", time);
	text_add(&v->line, row->client);
	text_end_line(out_buf(), &v->line);
}

static void
on_line(struct session_view *v, const struct row_line *row)
{
	uint64_t ms;

	if (v->n++ == 0) {
		v->begin_ms = row->when_ms;
		(v->json ? begin_json : begin_text)(v, row);
	}
	if (v->json) {
		line_json(&v->j, row);
		return;
	}
	ms = row->when_ms > v->begin_ms ? row->when_ms - v->begin_ms : 0;
	buf_addf(&v->line, "%5llu.%03u ", (unsigned long long)(ms / 1000),
	    (unsigned int)(ms % 1000));
	line_text(&v->line, row);
	text_wrap_line(out_buf(), &v->line, 12);
}

static void
on_session_row(void *ctx, uint16_t type, const void *msg)
{
	if (type == TYPE_row_session)
		on_live(ctx, msg);
	else if (type == TYPE_row_line)
		on_line(ctx, msg);
}

int
show_session(const struct call *c)
{
	struct session_view v = { .json = c->json, .j = { out_buf(), false } };
	struct ask_session m = { .session = str_of(c->argv[0]) };
	struct question q = { .type = TYPE_ask_session,
		.msg = &m,
		.on_row = on_session_row,
		.ctx = &v };
	struct answer answer;

	if (!id_is_valid(m.session)) {
		complain("no such session: %s", c->argv[0]);
		return CTL_REFUSED;
	}
	buf_init(&v.line, 16384);
	if (v.json)
		json_open(&v.j, '{');
	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit_of(&answer, m.session);
	if (v.json) {
		/* There was no memory for any. */
		if (v.n == 0)
			open_lines(&v);
		json_close(&v.j, ']');
		json_close(&v.j, '}');
		buf_add_char(out_buf(), '\n');
	}
	if (status != CTL_DONE && v.n == 0)
		buf_reset(out_buf());
	buf_clear(&v.line);
	return status;
}
