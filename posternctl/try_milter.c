/* test milter: a mail from standard input is shown to one filter. */
#include <string.h>
#include <unistd.h>

#include "posternctl/asking.h"
#include "posternctl/base64.h"
#include "posternctl/commands.h"
#include "posternctl/event_view.h"
#include "posternctl/input.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

enum {
	MAIL_MAX = 16777216, /* as the gateway takes it */
	/* A filter may take ten minutes; control waits for eleven. */
	SILENCE_MS = 670000
};

struct trying {
	bool json;
	struct json j;
	struct buf line;
	struct buf held; /* of the mail: what is not printed yet */
	bool has_mail;
	bool has_failed; /* the filter did not do its part */
};

static void
begin_mail(struct trying *t)
{
	if (t->has_mail)
		return;
	t->has_mail = true;
	if (!t->json) {
		buf_add_char(out_buf(), '\n');
		return;
	}
	json_close(&t->j, ']');
	json_key(&t->j, "content_base64");
	buf_add_char(out_buf(), '"');
}

static void
on_event(struct trying *t, const struct row_event *row)
{
	if (str_eq(row->event, STR("failed")))
		t->has_failed = true;
	if (t->json) {
		event_json(&t->j, row);
		return;
	}
	event_text(&t->line, row);
	text_wrap_line(out_buf(), &t->line, 4);
}

static void
on_row(void *ctx, uint16_t type, const void *msg)
{
	struct trying *t = ctx;

	if (type == TYPE_row_event && !t->has_mail) {
		on_event(t, msg);
	} else if (type == TYPE_row_content) {
		const struct row_content *row = msg;

		begin_mail(t);
		if (t->json)
			base64_add(out_buf(), &t->held, row->bytes);
		else
			buf_add_str(&t->held, row->bytes);
	}
}

static void
finish(struct trying *t)
{
	if (!t->json) {
		if (isatty(STDOUT_FILENO) == 1)
			text_add_lines(out_buf(), buf_str(&t->held));
		else
			buf_add_str(out_buf(), buf_str(&t->held));
		return;
	}
	if (t->has_mail) {
		base64_end(out_buf(), &t->held);
		buf_add_char(out_buf(), '"');
	} else {
		json_close(&t->j, ']');
		json_key(&t->j, "content_base64");
		json_null(&t->j);
	}
	json_close(&t->j, '}');
	buf_add_char(out_buf(), '\n');
}

static int
run(const struct call *c, struct ask_test_milter *m, struct str mail)
{
	struct trying t = { .json = c->json, .j = { out_buf(), false } };
	struct question q = { .type = TYPE_ask_test_milter,
		.msg = m,
		.on_row = on_row,
		.ctx = &t,
		.mail = mail,
		.silence_ms = SILENCE_MS };
	struct answer answer;

	buf_init(&t.line, 16384);
	buf_init(&t.held, SIZE_MAX / 2);
	if (t.json) {
		json_open(&t.j, '{');
		json_key_str(&t.j, "milter", m->milter);
		json_key(&t.j, "events");
		json_open(&t.j, '[');
	}
	int status = asking_run(c->socket, &q, &answer, false);
	if (status == CTL_DONE)
		status = asking_exit(&answer);
	if (status == CTL_DONE)
		finish(&t);
	else
		buf_reset(out_buf());
	buf_clear(&t.line);
	buf_clear(&t.held);
	return status == CTL_DONE && t.has_failed ? CTL_REFUSED : status;
}

/* The words behind the filter's name. Returns 0, or -1 (said on stderr). */
static int
parse(struct ask_test_milter *m, char **words)
{
	const struct {
		const char *word;
		struct str *value;
		size_t max;
	} keywords[] = { { "client", &m->client, 64 },
		{ "helo", &m->helo, 255 },
		{ "from", &m->from, ENVELOPE_ADDRESS_MAX },
		{ "to", &m->to, ENVELOPE_ADDRESS_MAX } };

	enum { NKEYWORDS = sizeof(keywords) / sizeof(keywords[0]) };

	for (; *words != NULL; words += 2) {
		size_t i = 0;

		while (i < NKEYWORDS && strcmp(keywords[i].word, *words) != 0)
			i++;
		if (i == NKEYWORDS || words[1] == NULL)
			return word_is_odd(*words, i < NKEYWORDS);
		struct str v = str_of(words[1]);
		/* <a@b> is a@b, and <> the empty sender. */
		if (v.len >= 2 && v.p[0] == '<' && v.p[v.len - 1] == '>')
			v = (struct str){ v.p + 1, v.len - 2 };
		if (v.len > keywords[i].max) {
			complain("%s: longer than %zu bytes", *words,
			    keywords[i].max);
			return -1;
		}
		*keywords[i].value = v;
	}
	return 0;
}

int
do_test_milter(const struct call *c)
{
	struct ask_test_milter m = { .milter = str_of(c->argv[0]),
		.client = STR("local"),
		.from = STR(""),
		.to = STR("postmaster@localhost") };
	struct buf read, mail;
	int status = CTL_REFUSED;

	if (!word_fits(c->argv[0], 64) || parse(&m, c->argv + 1) == -1)
		return command_usage(c);
	buf_init(&read, MAIL_MAX + 65536);
	buf_init(&mail, MAIL_MAX);
	if (input_read(&read) == 0) {
		input_add_crlf(&mail, buf_str(&read));
		if (mail.failed)
			complain("the mail is larger than 16 MiB");
		else
			status = run(c, &m, buf_str(&mail));
	}
	buf_clear(&read);
	buf_clear(&mail);
	return status;
}
