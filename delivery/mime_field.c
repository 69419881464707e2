#include "delivery/mime_field.h"

#include <stdbool.h>
#include <string.h>

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The comment at the start of s (its bracket is there), with comments in
 * it. */
static struct str
skip_comment(struct str s)
{
	size_t depth = 0, i = 0;

	do {
		if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')')
			depth--;
		else if (s.p[i] == '\\')
			i++;
		i++;
	} while (depth > 0 && i < s.len);
	return str_skip(s, i);
}

/* Blanks, line ends and comments. */
static struct str
skip_space(struct str s)
{
	while (s.len > 0) {
		if (is_space(s.p[0]))
			s = str_skip(s, 1);
		else if (s.p[0] == '(')
			s = skip_comment(s);
		else
			break;
	}
	return s;
}

/* A token off *s, with the space before it; perhaps empty. Slashes belong to
 * it: what stands bare in a boundary's place often has some. */
static struct str
take_token(struct str *s)
{
	struct str t;

	*s = skip_space(*s);
	t = *s;
	t.len = 0;
	while (t.len < s->len && !is_space(t.p[t.len]) &&
	       strchr("()<>@,;:\\\"[]?=", t.p[t.len]) == NULL)
		t.len++;
	*s = str_skip(*s, t.len);
	return t;
}

/* A value off *s, into out: bare up to the next semicolon or space, or
 * quoted. */
static void
take_value(struct str *s, struct buf *out)
{
	size_t i;

	*s = skip_space(*s);
	if (s->len == 0 || s->p[0] != '"') {
		for (i = 0; i < s->len && s->p[i] != ';' && !is_space(s->p[i]);
		     i++)
			buf_add_char(out, s->p[i]);
		*s = str_skip(*s, i);
		return;
	}
	for (i = 1; i < s->len && s->p[i] != '"'; i++) {
		if (s->p[i] == '\\' && i + 1 < s->len)
			i++;
		if (s->p[i] != '\r' && s->p[i] != '\n')
			buf_add_char(out, s->p[i]);
	}
	*s = str_skip(*s, i + 1);
}

/* Takes the next parameter off *s, its value into out. False at the end. */
static bool
take_param(struct str *s, struct str *name, struct buf *out)
{
	buf_reset(out);
	*s = str_skip(*s, str_find(*s, ';') + 1);
	if (s->len == 0)
		return false;
	*name = take_token(s);
	*s = skip_space(*s);
	if (s->len > 0 && s->p[0] == '=') {
		*s = str_skip(*s, 1);
		take_value(s, out);
	}
	return true;
}

static bool
find_boundary(struct str params, struct buf *out)
{
	struct str name;

	while (take_param(&params, &name, out))
		if (str_eq_nocase(name, STR("boundary"))) {
			/* Blanks at its end are none of it. */
			while (out->len > 0 && is_space(out->p[out->len - 1]))
				out->len--;
			return out->len > 0 && !out->failed;
		}
	return false;
}

bool
mime_field_find(struct str s, enum mime_field *field)
{
	static const struct {
		struct str name;
		enum mime_field field;
	} names[] = {
		{ { "Content-Transfer-Encoding", 25 }, MIME_FIELD_DECLARED },
		{ { "Content-Type", 12 }, MIME_FIELD_TYPE },
		{ { "MIME-Version", 12 }, MIME_FIELD_VERSION },
	};

	size_t n = 0;

	while (n < s.len && s.p[n] > ' ' && s.p[n] < 0x7f && s.p[n] != ':')
		n++;
	*field = MIME_FIELD_OTHER;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eq_nocase(str_head(s, n), names[i].name))
			*field = names[i].field;
	if (n == 0)
		return false;
	while (n < s.len && (s.p[n] == ' ' || s.p[n] == '\t'))
		n++;
	return n < s.len && s.p[n] == ':';
}

enum mime_type
mime_type_parse(struct str value, struct buf *boundary)
{
	struct str type = take_token(&value);
	struct str multipart = STR("multipart/");

	if (str_eq_nocase(type, STR("message/rfc822")))
		return MIME_MESSAGE;
	if (!str_starts_nocase(type, multipart) ||
	    !find_boundary(value, boundary))
		return MIME_LEAF;
	return str_eq_nocase(str_skip(type, multipart.len), STR("digest")) ?
		   MIME_DIGEST :
		   MIME_MULTIPART;
}

enum mime_encoding
mime_encoding_parse(struct str value)
{
	static const struct {
		struct str word;
		enum mime_encoding encoding;
	} words[] = {
		{ { "8bit", 4 }, MIME_8BIT },
		{ { "binary", 6 }, MIME_8BIT },
		{ { "quoted-printable", 16 }, MIME_QUOTED },
		{ { "base64", 6 }, MIME_ENCODED },
		{ { "x-uuencode", 10 }, MIME_ENCODED },
		{ { "uuencode", 8 }, MIME_ENCODED },
		{ { "x-uue", 5 }, MIME_ENCODED },
		{ { "uue", 3 }, MIME_ENCODED },
	};
	struct str word = take_token(&value);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq_nocase(word, words[i].word))
			return words[i].encoding;
	return MIME_UNSAID;
}
