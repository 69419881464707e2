/* Asking for mails and their recipients, one by its id or many. */
#include "posternctl/mail_view.h"

#include "lib/base/clock.h"
#include "posternctl/out.h"

/* None of these questions has fields. */
static const struct ask_queue nothing;

void
mail_view_end(struct mail_view *v)
{
	if (v->n == 0)
		return;
	json_close(&v->j, ']');
	json_close(&v->j, '}');
}

static int
run(const struct call *c, struct mail_view *v, const struct question *q)
{
	struct answer answer;

	v->json = c->json;
	v->j.out = out_buf();
	v->now_ms = clock_wall_ms();
	buf_init(&v->line, 16384);
	int status = asking_run(c->socket, q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit_of(&answer, filter_id(q->filter));
	buf_clear(&v->line);
	return status;
}

int
mail_view_list(const struct call *c, uint16_t question, row_fn *on_row)
{
	struct mail_view v = { .n = 0 };
	struct filter f;
	struct question q = { .type = question,
		.msg = &nothing,
		.filter = &f,
		.on_row = on_row,
		.ctx = &v };

	if (filter_parse(&f, c->argv, false) == -1)
		return CTL_USAGE;
	if (c->json)
		buf_add_char(out_buf(), '[');
	int status = run(c, &v, &q);
	if (!c->json)
		return status;
	/* Half a listing is no JSON: what was cut short is closed, and the
	 * exit status says that it was. */
	mail_view_end(&v);
	buf_add_str(out_buf(), STR("]\n"));
	if (status != CTL_DONE && v.n == 0)
		buf_reset(out_buf());
	return status;
}

int
mail_view_one(const struct call *c, uint16_t question, row_fn *on_row,
    const char *missing)
{
	struct mail_view v = { .one = true };
	struct filter f = { .n = 1 };
	struct question q = { .type = question,
		.msg = &nothing,
		.filter = &f,
		.on_row = on_row,
		.ctx = &v };
	struct str id = str_of(c->argv[0]);

	f.terms[0] = (struct tell_term){ .kind = TERM_ID, .text = id };
	if (!id_is_valid(id)) {
		complain("no such message: %s", c->argv[0]);
		return CTL_REFUSED;
	}
	int status = run(c, &v, &q);
	if (c->json && v.n > 0) {
		mail_view_end(&v);
		buf_add_char(out_buf(), '\n');
	}
	if (status == CTL_DONE && v.n == 0) {
		complain("%s: %s", missing, c->argv[0]);
		return CTL_REFUSED;
	}
	return status;
}
