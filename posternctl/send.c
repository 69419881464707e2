/* send: hands a mail in by the submit socket. */
#include <errno.h>
#include <string.h>

#include "posternctl/commands.h"
#include "posternctl/input.h"
#include "posternctl/json.h"
#include "posternctl/out.h"
#include "posternctl/text.h"
#include "submit/connecting.h"
#include "submit/hand_in.h"

enum { MAIL_MAX_GIB = 4 };

/* All addresses, before anything is said to anybody. */
static int
take_addresses(struct submission *m, const struct call *c)
{
	if (submission_set_from(m, str_of(c->argv[1])) == -1) {
		complain("not an address: %s", c->argv[1]);
		return -1;
	}
	for (char **to = c->argv + 2; *to != NULL; to++)
		if (submission_add_to(m, str_of(*to)) == -1) {
			complain("not an address: %s", *to);
			return -1;
		}
	return 0;
}

/* Says what went wrong; returns the exit status. */
static int
report(const struct handing *h, const char *path)
{
	bool is_silent = h->smtp.why != NULL;
	struct buf why, text;

	buf_init(&why, 8192);
	buf_init(&text, (size_t)16 * 8192);
	hand_in_explain(h, &why);
	text_add(&text, buf_str(&why));
	complain("%s%s%.*s", is_silent ? path : "", is_silent ? ": " : "",
	    (int)text.len, text.p);
	buf_clear(&why);
	buf_clear(&text);
	return is_silent ? CTL_SILENT : CTL_REFUSED;
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
print_id(const struct call *c, const struct reply *r)
{
	struct json j = { .out = out_buf() };
	struct str id = queued_id(r);

	if (c->json) {
		json_open(&j, '{');
		json_key_str(&j, "id", id);
		json_close(&j, '}');
	} else {
		text_add(j.out, id);
	}
	buf_add_char(j.out, '\n');
}

static int
converse(const struct call *c, const struct submission *m)
{
	struct handing h;
	struct buf path;
	int fd, status = CTL_DONE;

	buf_init(&path, 2048);
	connect_find(c->socket, &path);
	fd = connect_to(path.p);
	if (fd == -1) {
		complain("%s: %s", path.p, strerror(errno));
		status = CTL_SILENT;
	} else {
		if (hand_in_open(&h, fd) == 0 && hand_in(&h, m, false) == 0)
			print_id(c, &h.smtp.reply);
		else
			status = report(&h, path.p);
		hand_in_close(&h);
	}
	buf_clear(&path);
	return status;
}

int
do_send(const struct call *c)
{
	struct submission m;
	struct buf content;
	int status = CTL_REFUSED;

	if (strcmp(c->argv[0], "-f") != 0) {
		complain("%s: `-f FROM' comes first", c->argv[0]);
		return command_usage(c);
	}
	submission_init(&m);
	buf_init(&content, (size_t)MAIL_MAX_GIB << 30);
	if (take_addresses(&m, c) == -1)
		status = CTL_USAGE;
	else if (input_read(&content) == 0) {
		m.pieces[0] = buf_str(&content);
		status = converse(c, &m);
	}
	submission_clear(&m);
	buf_clear(&content);
	return status;
}
