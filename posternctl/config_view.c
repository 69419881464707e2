/* config diff, reload, confirm; stop. */
#include <stdio.h>
#include <string.h>

#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

static const struct {
	const char *sign, *word;
} signs[] = {
	[DIFF_ADDED] = { "+", "added" },
	[DIFF_REMOVED] = { "-", "removed" },
	[DIFF_CHANGED] = { "~", "changed" },
};

/* As ask_reload takes it. */
enum { CONFIRM_MAX_MS = 604800000 };

struct config_view {
	bool json;
	struct json j; /* of changes, as they come */
	struct buf line;
	bool has_messages;   /* JSON has a place for what is wrong: it is */
	struct buf messages; /* gathered here, to stand behind the changes */
	struct json m;
	size_t nchanges;
};

static void
view_init(struct config_view *v, const struct call *c)
{
	*v = (struct config_view){ .json = c->json, .j = { out_buf(), false } };
	buf_init(&v->line, 65536);
	buf_init(&v->messages, 4194304);
	v->m.out = &v->messages;
}

static void
view_clear(struct config_view *v)
{
	buf_clear(&v->line);
	buf_clear(&v->messages);
}

static void
on_diff(struct config_view *v, const struct row_diff *row)
{
	v->nchanges++;
	if (v->json) {
		json_open(&v->j, '{');
		json_key_str(&v->j, "change", str_of(signs[row->sign].word));
		json_key_str(&v->j, "where", row->where);
		json_key_str(&v->j, "text", row->text);
		json_close(&v->j, '}');
		return;
	}
	buf_addf(&v->line, "%s ", signs[row->sign].sign);
	text_add(&v->line, row->where);
	buf_add_str(&v->line, STR(": "));
	text_add(&v->line, row->text);
	text_wrap_line(out_buf(), &v->line, 4);
}

/* What is wrong with the files: "file:line: why". */
static void
on_message(struct config_view *v, const struct row_text *row)
{
	if (v->json && v->has_messages) {
		json_str(&v->m, row->text);
		return;
	}
	text_add(&v->line, row->text);
	fprintf(stderr, "%.*s\n", (int)v->line.len, v->line.p);
	buf_reset(&v->line);
}

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct config_view *v = ctx;

	if (type == TYPE_row_diff)
		on_diff(v, msg);
	else if (type == TYPE_row_text)
		on_message(v, msg);
}

static int
ask(const struct call *c, struct config_view *v, uint16_t type, const void *msg,
    struct answer *answer)
{
	struct question q = {
		.type = type, .msg = msg, .on_row = on_row, .ctx = v
	};

	return asking_run(c->socket, &q, answer, false);
}

/* --- config diff --- */

int
config_diff(const struct call *c)
{
	struct ask_config_diff m = { 0 };
	struct config_view v;
	struct answer answer;

	view_init(&v, c);
	if (c->json)
		json_open(&v.j, '[');
	int status = ask(c, &v, TYPE_ask_config_diff, &m, &answer);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	/* Of files with errors there is nothing to compare. */
	if (status != CTL_DONE)
		buf_reset(out_buf());
	else if (c->json)
		buf_add_str(out_buf(), STR("]\n"));
	else if (v.nchanges == 0)
		out_say("nothing would change");
	view_clear(&v);
	return status;
}

/* --- reload --- */

/* `confirm TIME'. Returns 0/-1 (said on stderr). */
static int
parse_confirm(const struct call *c, uint64_t *ms)
{
	*ms = 0;
	if (c->argc == 0)
		return 0;
	bool is_known = strcmp(c->argv[0], "confirm") == 0;

	if (c->argc != 2 || !is_known) {
		word_is_odd(c->argv[0], is_known);
		command_usage(c);
		return -1;
	}
	if (filter_parse_duration(str_of(c->argv[1]), ms) == 0 && *ms > 0 &&
	    *ms <= CONFIRM_MAX_MS)
		return 0;
	complain("%s: not a time up to 7d", c->argv[1]);
	return -1;
}

static void
print_reloaded(struct config_view *v, uint64_t confirm_ms, int status)
{
	struct json *j = &v->j;

	if (v->json) {
		json_close(j, ']');
		json_key(j, "messages");
		buf_add_char(j->out, '[');
		buf_add_str(j->out, buf_str(&v->messages));
		json_close(j, ']');
		json_key(j, "reloaded");
		json_bool(j, status == CTL_DONE);
		if (confirm_ms > 0 && status == CTL_DONE)
			json_key_number(j, "confirm", confirm_ms / 1000);
		json_close(j, '}');
		buf_add_char(j->out, '\n');
		return;
	}
	if (status != CTL_DONE)
		return;
	buf_add_str(&v->line, v->nchanges == 0 ?
				  STR("reloaded, nothing has changed") :
				  STR("reloaded"));
	if (confirm_ms > 0)
		buf_addf(&v->line,
		    ": taken back in %llu s unless `posternctl confirm' comes",
		    (unsigned long long)(confirm_ms / 1000));
	text_wrap_line(out_buf(), &v->line, 4);
}

int
do_reload(const struct call *c)
{
	struct config_view v;
	struct ask_reload m = { 0 };
	struct answer answer;

	if (parse_confirm(c, &m.confirm_ms) == -1)
		return CTL_USAGE;
	view_init(&v, c);
	v.has_messages = true;
	if (c->json) {
		json_open(&v.j, '{');
		json_key(&v.j, "changes");
		json_open(&v.j, '[');
	}
	int status = ask(c, &v, TYPE_ask_reload, &m, &answer);
	if (status != CTL_DONE) {
		buf_reset(out_buf());
	} else {
		status = asking_exit(&answer);
		if (status == CTL_DONE || v.messages.len > 0)
			print_reloaded(&v, m.confirm_ms, status);
		else
			buf_reset(out_buf());
	}
	view_clear(&v);
	return status;
}

/* --- confirm, stop --- */

static int
say(const struct call *c, uint16_t type, const void *msg, const char *json,
    const char *text)
{
	struct question q = { .type = type, .msg = msg };
	struct answer answer;

	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE && answer.code == ANSWER_NOT_FOUND &&
	    answer.text[0] == '\0') {
		complain("no reload waits for it");
		return CTL_REFUSED;
	}
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	if (status == CTL_DONE && c->json)
		buf_addf(out_buf(), "%s\n", json);
	else if (status == CTL_DONE)
		out_say("%s", text);
	return status;
}

int
do_confirm(const struct call *c)
{
	struct ask_confirm m = { 0 };

	return say(c, TYPE_ask_confirm, &m, "{\"confirmed\":true}",
	    "confirmed: the configuration stays");
}

int
do_stop(const struct call *c)
{
	struct ask_stop m = { 0 };

	return say(c, TYPE_ask_stop, &m, "{\"stopping\":true}", "stopping");
}
