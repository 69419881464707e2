/* What listings have in common. */
#include "posternctl/rows.h"

#include "lib/base/clock.h"
#include "posternctl/asking.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

enum { LINE_MAX_BYTES = 8192 };

struct showing {
	struct rows rows;
	const struct rows_kind *kind;
	bool json;
};

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct showing *s = ctx;
	struct rows *r = &s->rows;

	if (type != s->kind->row)
		return;
	if (s->json) {
		json_open(&r->j, '{');
		s->kind->json(r, msg);
		json_close(&r->j, '}');
	} else {
		if (r->n == 0) {
			buf_addf(&r->line, "%s", s->kind->title);
			text_end_line(out_buf(), &r->line);
		}
		s->kind->text(r, msg);
	}
	r->n++;
}

int
rows_show(const struct call *c, const struct rows_kind *kind)
{
	struct showing s = { .kind = kind,
		.json = c->json,
		.rows = {
		    .j = { out_buf(), false }, .now_ms = clock_wall_ms() } };
	struct question q = {
		.type = kind->ask, .msg = kind->msg, .on_row = on_row, .ctx = &s
	};
	struct answer answer;

	buf_init(&s.rows.line, LINE_MAX_BYTES);
	if (s.json)
		json_open(&s.rows.j, '[');
	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	/* As for the queue: what was cut short is closed all the same. */
	if (s.json) {
		json_close(&s.rows.j, ']');
		buf_add_char(out_buf(), '\n');
	}
	if (status != CTL_DONE && s.rows.n == 0)
		buf_reset(out_buf());
	buf_clear(&s.rows.line);
	return status;
}
