/* show message, show headers: what is written in a mail. */
#include <unistd.h>

#include "posternctl/asking.h"
#include "posternctl/base64.h"
#include "posternctl/commands.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

struct mail {
	bool json;
	bool is_terminal;
	bool has_begun;
	struct str id;
	struct buf held; /* bytes that wait for more: of a base64 group, of a
			  * character or a CRLF */
};

static void
begin_json(struct mail *m)
{
	struct json j = { .out = out_buf() };

	if (m->has_begun)
		return;
	m->has_begun = true;
	json_open(&j, '{');
	json_key_str(&j, "id", m->id);
	json_key(&j, "content_base64");
	buf_add_char(j.out, '"');
}

static void
add_json(struct mail *m, struct str s)
{
	begin_json(m);
	base64_add(out_buf(), &m->held, s);
}

/* Up to the last line end: what is behind may be half a character. */
static void
add_terminal(struct mail *m, struct str s)
{
	buf_add_str(&m->held, s);
	size_t n = m->held.len;
	while (n > 0 && m->held.p[n - 1] != '\n')
		n--;
	text_add_lines(out_buf(), str_head(buf_str(&m->held), n));
	buf_drop(&m->held, n);
}

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct mail *m = ctx;
	const struct row_content *row = msg;

	if (type != TYPE_row_content)
		return;
	if (m->json)
		add_json(m, row->bytes);
	else if (m->is_terminal)
		add_terminal(m, row->bytes);
	else
		buf_add_str(out_buf(), row->bytes);
}

static void
finish(struct mail *m)
{
	if (m->json) {
		begin_json(m);
		base64_end(out_buf(), &m->held);
		buf_add_str(out_buf(), STR("\"}\n"));
	} else if (m->held.len > 0) {
		text_add_lines(out_buf(), buf_str(&m->held));
		buf_add_char(out_buf(), '\n');
	}
}

static int
show(const struct call *c, bool headers_only)
{
	struct mail m = { .json = c->json,
		.is_terminal = isatty(STDOUT_FILENO) == 1,
		.id = str_of(c->argv[0]) };
	struct ask_content ask = { .msgid = m.id,
		.headers_only = headers_only };
	struct question q = { .type = TYPE_ask_content,
		.msg = &ask,
		.on_row = on_row,
		.ctx = &m };
	struct answer answer;

	if (!id_is_valid(m.id)) {
		complain("no such message: %s", c->argv[0]);
		return CTL_REFUSED;
	}
	buf_init(&m.held, SIZE_MAX / 2);
	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit_of(&answer, m.id);
	if (status == CTL_DONE)
		finish(&m);
	buf_clear(&m.held);
	return status;
}

int
show_message(const struct call *c)
{
	return show(c, false);
}

int
show_headers(const struct call *c)
{
	return show(c, true);
}
