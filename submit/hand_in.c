/* One conversation at the submit socket (RFC 5321, 3461, 6152, 6531). */
#include "submit/hand_in.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/mail/xtext.h"

enum {
	/* The arguments of a process, or the header of a mail, bound how long
	 * all addresses together are; this bounds what we take of them. */
	ADDRESSES_MAX = 256 * 1024 * 1024,
	LINE_MAX_BYTES = 4096,
};

/* --- the envelope --- */

void
submission_init(struct submission *m)
{
	memset(m, 0, sizeof(*m));
	buf_init(&m->from, PATH_FORMAT_MAX + 2);
	buf_init(&m->to, ADDRESSES_MAX);
}

void
submission_clear(struct submission *m)
{
	buf_clear(&m->from);
	buf_clear(&m->to);
}

/* Appends <address>. Returns 0, or -1 when it is none. */
static int
add_path(struct submission *m, struct buf *out, struct str address,
    unsigned int flags)
{
	struct path p;
	struct str rest;

	if (path_parse(address,
		flags | PATH_ALLOW_BARE | PATH_ALLOW_LOCAL | PATH_ALLOW_UTF8,
		&p, &rest) != PATH_OK ||
	    rest.len > 0)
		return -1;
	m->is_utf8 = m->is_utf8 || p.is_utf8;
	buf_add_char(out, '<');
	path_format(&p, out);
	buf_add_char(out, '>');
	return out->failed ? -1 : 0;
}

int
submission_set_from(struct submission *m, struct str address)
{
	buf_reset(&m->from);
	if (address.len > 0)
		return add_path(m, &m->from, address, PATH_ALLOW_NULL);
	buf_add_str(&m->from, STR("<>"));
	return 0;
}

int
submission_add_to(struct submission *m, struct str address)
{
	if (add_path(m, &m->to, address, 0) == -1)
		return -1;
	buf_add_char(&m->to, '\n');
	m->nto++;
	return 0;
}

static bool
is_8bit(const struct submission *m)
{
	for (size_t i = 0; i < sizeof(m->pieces) / sizeof(m->pieces[0]); i++)
		for (size_t k = 0; k < m->pieces[i].len; k++)
			if ((m->pieces[i].p[k] & 0x80) != 0)
				return true;
	return false;
}

static int
by_text(const void *a, const void *b)
{
	const struct str *x = *(struct str *const *)a;
	const struct str *y = *(struct str *const *)b;
	int order = str_cmp(*x, *y);

	return order != 0 ? order : (x > y) - (x < y);
}

/* The recipients in their order, nobody twice; to be freed. */
static struct str *
each_once(const struct submission *m, size_t *n)
{
	struct str *all = xcalloc(m->nto + 1, sizeof(*all));
	struct str **sorted = xcalloc(m->nto + 1, sizeof(struct str *));
	struct str rest = buf_str(&m->to);

	for (size_t i = 0; i < m->nto; i++) {
		all[i] = str_cut(&rest, '\n');
		sorted[i] = &all[i];
	}
	qsort(sorted, m->nto, sizeof(struct str *), by_text);
	for (size_t i = m->nto; i > 1; i--)
		if (str_eq(*sorted[i - 1], *sorted[i - 2]))
			sorted[i - 1]->len = 0;
	*n = 0;
	for (size_t i = 0; i < m->nto; i++)
		if (all[i].len > 0)
			all[(*n)++] = all[i];
	free(sorted);
	return all;
}

/* --- the conversation --- */

static bool
is_class(int code, int class)
{
	return code / 100 == class;
}

static int
say(struct handing *h, struct buf *line)
{
	int code = smtp_command(&h->smtp, buf_str(line));

	buf_reset(line);
	return code;
}

int
hand_in_open(struct handing *h, int fd)
{
	memset(h, 0, sizeof(*h));
	smtp_init(&h->smtp, fd);
	if (!is_class(smtp_greeting(&h->smtp), 2) ||
	    !is_class(smtp_ehlo(&h->smtp, "localhost"), 2))
		return -1;
	return 0;
}

void
hand_in_close(struct handing *h)
{
	if (h->smtp.why == NULL)
		smtp_command(&h->smtp, STR("QUIT"));
	smtp_clear(&h->smtp);
}

static int
say_from(struct handing *h, const struct submission *m, struct buf *line)
{
	h->stage = HAND_IN_FROM;
	h->about = buf_str(&m->from);
	if (m->is_utf8 && !h->smtp.has_smtputf8) {
		h->smtp.why = "the gateway does not take SMTPUTF8 addresses";
		return -1;
	}
	buf_addf(line, "MAIL FROM:%.*s", (int)m->from.len, m->from.p);
	if (is_8bit(m) && h->smtp.has_8bitmime)
		buf_add_str(line, STR(" BODY=8BITMIME"));
	if (m->is_utf8)
		buf_add_str(line, STR(" SMTPUTF8"));
	if (m->ret != NULL && h->smtp.has_dsn)
		buf_addf(line, " RET=%s", m->ret);
	if (m->envid.len > 0 && h->smtp.has_dsn) {
		buf_add_str(line, STR(" ENVID="));
		xtext_add(line, m->envid);
	}
	return is_class(say(h, line), 2) ? 0 : -1;
}

/* Returns the reply's code. */
static int
say_to(struct handing *h, const struct submission *m, struct str to,
    struct buf *line)
{
	h->stage = HAND_IN_TO;
	h->about = to;
	buf_addf(line, "RCPT TO:%.*s", (int)to.len, to.p);
	if (m->notify.len > 0 && h->smtp.has_dsn)
		buf_addf(line, " NOTIFY=%.*s", (int)m->notify.len, m->notify.p);
	return say(h, line);
}

static int
say_content(struct handing *h, const struct submission *m)
{
	h->stage = HAND_IN_CONTENT;
	h->about = STR("");
	if (!is_class(smtp_command(&h->smtp, STR("DATA")), 3))
		return -1;
	return is_class(smtp_content(&h->smtp, m->pieces,
			    sizeof(m->pieces) / sizeof(m->pieces[0])),
		   2) ?
		   0 :
		   -1;
}

/* Those so far are all that it takes at once; any other refusal is about this
 * one. */
static bool
is_too_many(const struct reply *r)
{
	return r->code == 452 && r->status.class == 4 &&
	       r->status.subject == 5 && r->status.detail == 3;
}

/* As many of these n as the gateway takes at once. Returns how many they are,
 * or 0 when it went wrong. */
static size_t
hand_in_lot(struct handing *h, const struct submission *m, const struct str *to,
    size_t n, bool may_split)
{
	struct buf line;
	size_t ntaken = 0;

	buf_init(&line, LINE_MAX_BYTES);
	if (say_from(h, m, &line) == 0) {
		while (
		    ntaken < n && is_class(say_to(h, m, to[ntaken], &line), 2))
			ntaken++;
		bool is_all = ntaken == n ||
			      (may_split && ntaken > 0 && h->smtp.why == NULL &&
				  is_too_many(&h->smtp.reply));
		if (!is_all || say_content(h, m) == -1)
			ntaken = 0;
	}
	buf_clear(&line);
	return ntaken;
}

int
hand_in(struct handing *h, const struct submission *m, bool may_split)
{
	size_t n, ntaken;
	struct str *to = each_once(m, &n);

	do {
		ntaken =
		    hand_in_lot(h, m, to + h->ndone, n - h->ndone, may_split);
		h->ndone += ntaken;
	} while (ntaken > 0 && h->ndone < n);
	free(to);
	return h->ndone == n && n > 0 ? 0 : -1;
}

/* --- what went wrong --- */

void
hand_in_explain(const struct handing *h, struct buf *out)
{
	const struct reply *r = &h->smtp.reply;
	char status[16];

	buf_add_str(out, h->about);
	if (h->about.len > 0)
		buf_add_str(out, STR(": "));
	if (h->smtp.why != NULL) {
		buf_add_str(out, str_of(h->smtp.why));
		return;
	}
	buf_addf(out, "%u ", r->code);
	if (r->status.class != 0)
		buf_addf(out, "%s ", status_format(&r->status, status));
	buf_add_str(out, (struct str){ r->text, r->text_len });
}
