/* The header of a mail whose sender is a user of ours. */
#include "smtpd/submission.h"

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "smtpd/body.h"
#include "smtpd/session.h"
#include "smtpd/tx.h"

enum { FIELD_MAX = 400 }; /* a host name and a little more */

/* What a field is to us. */
enum kind { KIND_OTHER, KIND_DATE, KIND_MESSAGE_ID, KIND_BLIND };

static const struct {
	struct str name;
	enum kind kind;
} names[] = {
	{ { "Date", 4 }, KIND_DATE },
	{ { "Message-ID", 10 }, KIND_MESSAGE_ID },
	{ { "Bcc", 3 }, KIND_BLIND },
	{ { "Resent-Bcc", 10 }, KIND_BLIND },
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static enum kind
kind_of(struct str name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eq_nocase(name, names[i].name))
			return names[i].kind;
	return KIND_OTHER;
}

/* "Name :" becomes "Name:", lest it is a field to some and to others none. */
static void
tighten(struct body *b)
{
	struct str block, line;

	for (size_t pos = 0; pos < body_header(b).len; pos += line.len) {
		size_t n = 0, colon;

		block = str_skip(body_header(b), pos);
		line = str_head(block, str_find(block, '\n') + 1);
		while (n < line.len && line.p[n] > ' ' && line.p[n] != ':')
			n++;
		for (colon = n; colon < line.len && is_blank(line.p[colon]);)
			colon++;
		if (n == 0 || colon == n || line.p[colon] != ':')
			continue;
		body_cut(b, pos + n, colon - n);
		line.len -= colon - n;
	}
}

/* Removes what is blind; has: which kinds there are. */
static void
look(struct body *b, bool has[static KIND_BLIND + 1])
{
	struct header_field field;
	size_t pos = 0, begin = 0;

	while (header_next(body_header(b), &pos, &field)) {
		enum kind kind = kind_of(field.name);

		has[kind] = true;
		if (kind == KIND_BLIND) {
			body_cut(b, begin, pos - begin);
			pos = begin;
		}
		begin = pos;
	}
}

static void
add_message_id(struct session *s)
{
	struct buf b;

	buf_init(&b, FIELD_MAX);
	buf_addf(
	    &b, "Message-ID: <%s@%s>\r\n", s->tx->msgid, session_hostname(s));
	body_add_field(s->body, buf_str(&b));
	buf_clear(&b);
}

static void
add_date(struct session *s)
{
	char date[32];
	struct buf b;

	clock_format_rfc5322(clock_wall_ms(), date);
	buf_init(&b, FIELD_MAX);
	buf_addf(&b, "Date: %s\r\n", date);
	body_add_field(s->body, buf_str(&b));
	buf_clear(&b);
}

void
submission_begin(struct session *s)
{
	s->body->head.obsolete = s->user != NULL;
}

void
submission_fix(struct session *s)
{
	bool has[KIND_BLIND + 1] = { false };

	if (s->user == NULL)
		return;
	tighten(s->body);
	look(s->body, has);
	body_end_header(s->body);
	if (!has[KIND_MESSAGE_ID])
		add_message_id(s);
	if (!has[KIND_DATE])
		add_date(s);
}
