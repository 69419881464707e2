/* undo; show operations. */
#include <stdio.h>
#include <string.h>

#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/rows.h"
#include "posternctl/text.h"

/* --- undo --- */

/* Returns 0, or -1 when the words are not that (said). */
static int
parse(char **words, struct ask_undo *out)
{
	if (str_to_u64(str_of(words[0]), UINT64_MAX, &out->operation) == -1) {
		complain("%s: not an operation", words[0]);
		return -1;
	}
	for (words++; *words != NULL; words++) {
		if (strcmp(*words, "--dry-run") == 0)
			out->dry_run = 1;
		else if (strcmp(*words, "reason") != 0)
			return word_is_odd(*words, false);
		else if (words[1] == NULL)
			return word_is_odd(*words, true);
		else
			out->reason = str_of(*++words);
	}
	return 0;
}

static void
print_json(const struct answer *a)
{
	struct json j = { .out = out_buf() };

	json_open(&j, '{');
	json_key_number(&j, "matched", a->matched);
	json_key_number(&j, "changed", a->changed);
	json_key_number(&j, "operation", a->operation);
	json_close(&j, '}');
	buf_add_char(j.out, '\n');
}

static void
print_text(const struct ask_undo *m, const struct answer *a)
{
	unsigned long long changed = a->changed, matched = a->matched;

	if (m->dry_run)
		out_say("%llu of %llu can be taken back, nothing was changed",
		    changed, matched);
	else
		out_say("%llu of %llu taken back (operation %llu)", changed,
		    matched, (unsigned long long)a->operation);
}

int
do_undo(const struct call *c)
{
	struct ask_undo m = { 0 };
	struct question q = { .type = TYPE_ask_undo, .msg = &m };
	struct answer answer;
	int status;

	if (parse(c->argv, &m) == -1)
		return command_usage(c);
	if (m.reason.len > 512) {
		complain("the reason is too long");
		return CTL_USAGE;
	}
	status = asking_run(c->socket, &q, &answer, false);
	if (status != CTL_DONE)
		return status;
	status = asking_exit_of(&answer, str_of(c->argv[0]));
	if (c->json && (status == CTL_DONE || answer.code == ANSWER_NOT_FOUND))
		print_json(&answer);
	else if (status == CTL_DONE)
		print_text(&m, &answer);
	if (status == CTL_DONE && answer.text[0] != '\0')
		complain("%s", answer.text);
	return status;
}

/* --- operations --- */

static void
json_row(struct rows *r, const void *msg)
{
	const struct row_operation *row = msg;

	json_key_number(&r->j, "operation", row->operation);
	json_key_str(&r->j, "change", row->change);
	json_key(&r->j, "time");
	json_time(&r->j, row->when_ms);
	json_key_number(&r->j, "uid", row->uid);
	json_key_number(&r->j, "changed", row->changed);
	json_key(&r->j, "until");
	json_time(&r->j, row->until_ms);
	json_key_str(&r->j, "reason", row->reason);
}

static uint64_t
seconds_between(uint64_t from_ms, uint64_t to_ms)
{
	return to_ms > from_ms ? (to_ms - from_ms) / 1000 : 0;
}

static void
text_row(struct rows *r, const void *msg)
{
	const struct row_operation *row = msg;
	char age[24], left[24] = "-";

	if (row->until_ms != 0)
		text_duration(seconds_between(r->now_ms, row->until_ms), left);
	buf_addf(&r->line, "%-10llu %-6s %-6s %-6u %-8llu ",
	    (unsigned long long)row->operation,
	    text_duration(seconds_between(row->when_ms, r->now_ms), age), left,
	    row->uid, (unsigned long long)row->changed);
	text_add(&r->line, row->change);
	if (row->reason.len > 0)
		buf_add_str(&r->line, STR("  "));
	text_add(&r->line, row->reason);
	text_end_line(out_buf(), &r->line);
}

int
show_operations(const struct call *c)
{
	static const struct ask_operations m;
	static const struct rows_kind kind = { TYPE_ask_operations,
		TYPE_row_operation, &m, json_row, text_row,
		"OPERATION  AGE    UNDO   UID    MESSAGES CHANGE" };

	return rows_show(c, &kind);
}
