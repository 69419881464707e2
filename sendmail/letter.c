/* The header of a mail (RFC 5322 3.6), as sendmail(8) treats it. */
#include "sendmail/letter.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/mail/header.h"
#include "lib/mail/path.h"
#include "sendmail/phrase.h"

enum meaning {
	FIELD_OTHER,
	FIELD_TO, /* To, Cc: whom it is for */
	FIELD_BCC,
	FIELD_SENDER, /* Sender, Reply-To: addresses, too */
	FIELD_FROM,
	FIELD_DATE,
	FIELD_ID,
	FIELD_TRACE /* written by who delivers */
};

static const struct {
	struct str name;
	enum meaning meaning;
	bool is_resent;
} names[] = {
	{ { "To", 2 }, FIELD_TO, false },
	{ { "Cc", 2 }, FIELD_TO, false },
	{ { "Bcc", 3 }, FIELD_BCC, false },
	{ { "From", 4 }, FIELD_FROM, false },
	{ { "Sender", 6 }, FIELD_SENDER, false },
	{ { "Reply-To", 8 }, FIELD_SENDER, false },
	{ { "Date", 4 }, FIELD_DATE, false },
	{ { "Message-ID", 10 }, FIELD_ID, false },
	{ { "Return-Path", 11 }, FIELD_TRACE, false },
	{ { "Resent-To", 9 }, FIELD_TO, true },
	{ { "Resent-Cc", 9 }, FIELD_TO, true },
	{ { "Resent-Bcc", 10 }, FIELD_BCC, true },
	{ { "Resent-From", 11 }, FIELD_FROM, true },
	{ { "Resent-Sender", 13 }, FIELD_SENDER, true },
	{ { "Resent-Date", 11 }, FIELD_DATE, true },
	{ { "Resent-Message-ID", 17 }, FIELD_ID, true },
};

static enum meaning
meaning_of(struct str name, bool *is_resent)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eq_nocase(name, names[i].name)) {
			*is_resent = names[i].is_resent;
			return names[i].meaning;
		}
	*is_resent = false;
	return FIELD_OTHER;
}

/* --- reading --- */

/* "From user Sat Jan  3 ..." is of mailboxes, not of mails. */
static struct str
skip_mbox_line(struct str content)
{
	struct str s = content;

	if (s.len > 0 && s.p[0] == '>')
		s = str_skip(s, 1);
	if (s.len < 5 || memcmp(s.p, "From ", 5) != 0)
		return content;
	return str_skip(s, str_find(s, '\n') + 1);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A line of the header; "Name :" becomes "Name:", or it is a field to some
 * and none to others, and a Bcc would be read by all. */
static void
add_tidy(struct buf *out, struct str line)
{
	size_t n = 0, colon;

	while (n < line.len && line.p[n] > ' ' && line.p[n] != ':')
		n++;
	colon = n;
	while (colon < line.len && is_blank(line.p[colon]))
		colon++;
	if (n == 0 || colon == line.len || line.p[colon] != ':')
		colon = n;
	buf_add_str(out, str_head(line, n));
	buf_add_str(out, str_skip(line, colon));
}

/* The fields, the last with its line end; what ends them is left out. */
static void
take_header(struct letter *l, struct str block)
{
	while (block.len > 0) {
		struct str line = str_head(block, str_find(block, '\n') + 1);

		block = str_skip(block, line.len);
		if (line.p[0] == '\r')
			break;
		add_tidy(&l->header, line);
		if (line.p[line.len - 1] != '\n')
			buf_add_str(&l->header, STR("\r\n"));
	}
}

static void
look(struct letter *l)
{
	struct header_field f;
	bool is_resent;

	for (size_t pos = 0; header_next(buf_str(&l->header), &pos, &f);) {
		meaning_of(f.name, &is_resent);
		l->is_resent = l->is_resent || is_resent;
	}
	for (size_t pos = 0; header_next(buf_str(&l->header), &pos, &f);) {
		enum meaning m = meaning_of(f.name, &is_resent);
		if (is_resent != l->is_resent)
			continue;
		l->has_from = l->has_from || m == FIELD_FROM;
		l->has_date = l->has_date || m == FIELD_DATE;
		l->has_id = l->has_id || m == FIELD_ID;
	}
}

void
letter_init(struct letter *l, struct str content)
{
	struct header_scan scan;

	memset(l, 0, sizeof(*l));
	content = skip_mbox_line(content);
	header_scan_init(&scan);
	scan.obsolete = true;
	header_scan_feed(&scan, content, true);
	buf_init(&l->header, SIZE_MAX / 2);
	take_header(l, str_head(content, scan.size));
	l->body = str_skip(content, scan.size);
	look(l);
}

void
letter_clear(struct letter *l)
{
	buf_clear(&l->header);
}

const char *
letter_recipients(
    const struct letter *l, address_fn *fn, void *ctx, struct str *name)
{
	struct header_field f;
	const char *why = NULL;
	bool is_resent;

	for (size_t pos = 0;
	     why == NULL && header_next(buf_str(&l->header), &pos, &f);) {
		enum meaning m = meaning_of(f.name, &is_resent);
		if (is_resent != l->is_resent ||
		    (m != FIELD_TO && m != FIELD_BCC))
			continue;
		*name = f.name;
		why = address_list(f.value, fn, ctx);
	}
	return why;
}

/* --- writing --- */

static void
add_from(const struct writer *w, struct buf *out)
{
	if (w->address.len == 0) {
		buf_add_str(out, STR("Mail Delivery System <MAILER-DAEMON@"));
		buf_add_str(out, w->domain);
	} else {
		if (w->name.len > 0) {
			phrase_add(out, w->name);
			buf_add_char(out, ' ');
		}
		buf_add_char(out, '<');
		buf_add_str(out, w->address);
	}
	buf_add_str(out, STR(">\r\n"));
}

static void
add_missing(const struct letter *l, const struct writer *w, struct buf *out)
{
	const char *prefix = l->is_resent ? "Resent-" : "";
	uint64_t now = clock_wall_ms();
	char date[32], id[ID_LEN + 1];

	if (!l->has_from) {
		buf_addf(out, "%sFrom: ", prefix);
		add_from(w, out);
	}
	if (!l->has_date) {
		clock_format_rfc5322(now, date);
		buf_addf(out, "%sDate: %s\r\n", prefix, date);
	}
	if (!l->has_id) {
		id_new(now, id);
		buf_addf(out, "%sMessage-ID: <%s@%.*s>\r\n", prefix, id,
		    (int)w->domain.len, w->domain.p);
	}
}

struct completing {
	struct buf *out;
	const char *done; /* of the field, up to here it is in out */
	struct str domain;
};

static int
complete(void *ctx, struct str address, const char *end)
{
	struct completing *c = ctx;
	struct path p;
	struct str rest;

	if (path_parse(address,
		PATH_ALLOW_BARE | PATH_ALLOW_LOCAL | PATH_ALLOW_UTF8, &p,
		&rest) != PATH_OK ||
	    rest.len > 0 || p.domain.len > 0)
		return 0;
	buf_add(c->out, c->done, (size_t)(end - c->done));
	buf_add_char(c->out, '@');
	buf_add_str(c->out, c->domain);
	c->done = end;
	return 0;
}

/* Users of this machine are nobody anywhere else: they get a domain. */
static void
add_addresses(
    const struct header_field *f, const struct writer *w, struct buf *out)
{
	struct completing c = { out, f->raw.p, w->domain };

	address_list(f->value, complete, &c);
	buf_add(out, c.done, (size_t)(f->raw.p + f->raw.len - c.done));
}

void
letter_compose(const struct letter *l, const struct writer *w, struct buf *out)
{
	struct header_field f;
	bool unused;

	add_missing(l, w, out);
	for (size_t pos = 0; header_next(buf_str(&l->header), &pos, &f);) {
		switch (meaning_of(f.name, &unused)) {
		case FIELD_BCC:
		case FIELD_TRACE:
			break;
		case FIELD_TO:
		case FIELD_SENDER:
		case FIELD_FROM:
			add_addresses(&f, w, out);
			break;
		case FIELD_OTHER:
		case FIELD_DATE:
		case FIELD_ID:
			buf_add_str(out, f.raw);
			break;
		}
	}
	buf_add_str(out, STR("\r\n"));
}
