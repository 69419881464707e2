/* trace: the life of a mail, step by step. */
#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/event_view.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

struct trace_view {
	bool json;
	struct json j;
	struct buf line;
	size_t n;
};

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct trace_view *v = ctx;

	if (type != TYPE_row_event)
		return;
	v->n++;
	if (v->json) {
		event_json(&v->j, msg);
		return;
	}
	event_text(&v->line, msg);
	text_wrap_line(out_buf(), &v->line, 4);
}

int
do_trace(const struct call *c)
{
	struct trace_view v = { .json = c->json, .j = { out_buf(), false } };
	struct ask_trace m = { .msgid = str_of(c->argv[0]) };
	struct question q = {
		.type = TYPE_ask_trace, .msg = &m, .on_row = on_row, .ctx = &v
	};
	struct answer answer;

	if (!id_is_valid(m.msgid)) {
		complain("no such message: %s", c->argv[0]);
		return CTL_REFUSED;
	}
	buf_init(&v.line, 16384);
	if (v.json)
		json_open(&v.j, '[');
	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit_of(&answer, m.msgid);
	if (v.json) {
		json_close(&v.j, ']');
		buf_add_char(out_buf(), '\n');
	}
	if (status != CTL_DONE && v.n == 0)
		buf_reset(out_buf());
	buf_clear(&v.line);
	return status;
}
