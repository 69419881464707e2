/* send: hands a mail in by the submit socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/mail/path.h"
#include "posternctl/asking.h"
#include "posternctl/commands.h"
#include "posternctl/input.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/smtp.h"
#include "posternctl/text.h"

#define DEFAULT_SUBMIT "/run/postern/submit.sock"

enum { MAIL_MAX_GIB = 4 };

struct sending {
	const struct call *call;
	const char *from;
	char **to;
	struct buf path; /* of the submit socket, terminated */
	struct buf content;
	struct buf line; /* a command being made */
	struct smtp smtp;
	bool is_8bit, is_utf8;
};

/* --- where to --- */

static void
on_path(void *ctx, uint16_t type, const void *msg)
{
	struct sending *s = ctx;
	const struct row_text *row = msg;

	if (type != TYPE_row_text)
		return;
	buf_reset(&s->path);
	buf_add_str(&s->path, row->text);
}

/* The gateway knows; without it (or without the right to ask it) the
 * environment or the usual place. */
static void
find_path(struct sending *s)
{
	struct ask_submit_path m = { 0 };
	struct question q = { .type = TYPE_ask_submit_path,
		.msg = &m,
		.on_row = on_path,
		.ctx = s };
	struct answer answer;

	asking_run(s->call->socket, &q, &answer, true);
	if (s->path.len == 0) {
		const char *path = getenv("POSTERN_SUBMIT");
		if (path == NULL || path[0] == '\0')
			path = DEFAULT_SUBMIT;
		buf_add_str(&s->path, str_of(path));
	}
	buf_add_char(&s->path, '\0');
}

/* --- the mail --- */

static int
read_content(struct sending *s)
{
	if (input_read(&s->content) == -1)
		return -1;
	for (size_t i = 0; i < s->content.len && !s->is_8bit; i++)
		s->is_8bit = (s->content.p[i] & 0x80) != 0;
	return 0;
}

/* Appends <address> in the form the gateway wants. Returns 0, or -1 when it
 * is none. */
static int
add_path(struct sending *s, const char *address, unsigned int flags)
{
	struct path p;
	struct str rest;

	if (path_parse(str_of(address),
		flags | PATH_ALLOW_BARE | PATH_ALLOW_UTF8, &p,
		&rest) != PATH_OK ||
	    rest.len > 0) {
		complain("not an address: %s", address);
		return -1;
	}
	s->is_utf8 = s->is_utf8 || p.is_utf8;
	buf_add_char(&s->line, '<');
	path_format(&p, &s->line);
	buf_add_char(&s->line, '>');
	return 0;
}

static int
add_from(struct sending *s)
{
	if (s->from[0] == '\0') {
		buf_add_str(&s->line, STR("<>"));
		return 0;
	}
	return add_path(s, s->from, PATH_ALLOW_NULL | PATH_ALLOW_LOCAL);
}

/* All addresses, before anything is said to anybody. */
static int
check_addresses(struct sending *s)
{
	int result = add_from(s);

	for (char **to = s->to; *to != NULL && result == 0; to++)
		result = add_path(s, *to, PATH_ALLOW_LOCAL);
	buf_reset(&s->line);
	return result;
}

/* --- the conversation --- */

/* Says what went wrong; returns the exit status. */
static int
report(struct sending *s, const char *about)
{
	const struct reply *r = &s->smtp.reply;
	struct buf text;
	char status[16];

	if (s->smtp.why != NULL) {
		complain("%s: %s", s->path.p, s->smtp.why);
		return CTL_SILENT;
	}
	buf_init(&text, 8192);
	buf_addf(&text, "%u ", r->code);
	if (r->status.class != 0)
		buf_addf(&text, "%s ", status_format(&r->status, status));
	text_add(&text, (struct str){ r->text, r->text_len });
	complain("%s%s%.*s", about, about[0] == '\0' ? "" : ": ", (int)text.len,
	    text.p);
	buf_clear(&text);
	return CTL_REFUSED;
}

static bool
is_class(int code, int class)
{
	return code / 100 == class;
}

static int
say_command(struct sending *s)
{
	int code = smtp_command(&s->smtp, buf_str(&s->line));

	buf_reset(&s->line);
	return code;
}

/* CTL_DONE when the gateway waits for the content. A refused recipient
 * refuses the mail: half of it would be sent twice when tried again. */
static int
say_envelope(struct sending *s)
{
	if (!is_class(smtp_greeting(&s->smtp), 2) ||
	    !is_class(smtp_ehlo(&s->smtp, "localhost"), 2))
		return report(s, "");
	if (s->is_utf8 && !s->smtp.has_smtputf8) {
		complain("the gateway does not take SMTPUTF8 addresses");
		return CTL_REFUSED;
	}
	buf_add_str(&s->line, STR("MAIL FROM:"));
	add_from(s);
	if (s->is_8bit && s->smtp.has_8bitmime)
		buf_add_str(&s->line, STR(" BODY=8BITMIME"));
	if (s->is_utf8)
		buf_add_str(&s->line, STR(" SMTPUTF8"));
	if (!is_class(say_command(s), 2))
		return report(s, s->from);
	for (char **to = s->to; *to != NULL; to++) {
		buf_add_str(&s->line, STR("RCPT TO:"));
		add_path(s, *to, PATH_ALLOW_LOCAL);
		if (!is_class(say_command(s), 2))
			return report(s, *to);
	}
	if (!is_class(smtp_command(&s->smtp, STR("DATA")), 3))
		return report(s, "");
	return CTL_DONE;
}

/* The id in "Ok: queued as ID"; empty when the reply has none. */
static struct str
queued_id(const struct reply *r)
{
	static const char before[] = "queued as ";
	const char *p =
	    memmem(r->text, r->text_len, before, sizeof(before) - 1);
	struct str rest = { r->text, 0 };

	if (p == NULL)
		return rest;
	p += sizeof(before) - 1;
	rest = (struct str){ p, (size_t)(r->text + r->text_len - p) };
	return str_head(rest, str_find(rest, ' '));
}

static void
print_id(const struct sending *s)
{
	struct json j = { .out = out_buf() };
	struct str id = queued_id(&s->smtp.reply);

	if (s->call->json) {
		json_open(&j, '{');
		json_key_str(&j, "id", id);
		json_close(&j, '}');
	} else {
		text_add(j.out, id);
	}
	buf_add_char(j.out, '\n');
}

static int
converse(struct sending *s)
{
	int fd = asking_connect(s->path.p);

	if (fd == -1) {
		complain("%s: %s", s->path.p, strerror(errno));
		return CTL_SILENT;
	}
	smtp_init(&s->smtp, fd);
	int status = say_envelope(s);
	if (status == CTL_DONE) {
		if (is_class(smtp_content(&s->smtp, buf_str(&s->content)), 2))
			print_id(s);
		else
			status = report(s, "");
	}
	if (s->smtp.why == NULL)
		smtp_command(&s->smtp, STR("QUIT"));
	smtp_clear(&s->smtp);
	return status;
}

int
do_send(const struct call *c)
{
	struct sending s = { .call = c };
	int status = CTL_REFUSED;

	if (strcmp(c->argv[0], "-f") != 0)
		return command_usage(c);
	s.from = c->argv[1];
	s.to = c->argv + 2;
	buf_init(&s.path, 2048);
	buf_init(&s.content, (size_t)MAIL_MAX_GIB << 30);
	/* The arguments of a process bound how long all addresses together
	 * are. */
	buf_init(&s.line, (size_t)16 * 1024 * 1024);
	if (check_addresses(&s) == -1)
		status = CTL_USAGE;
	else if (read_content(&s) == 0) {
		find_path(&s);
		status = converse(&s);
	}
	buf_clear(&s.path);
	buf_clear(&s.content);
	buf_clear(&s.line);
	return status;
}
