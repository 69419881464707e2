/* Names of people. */
#include "sendmail/phrase.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/utf8.h"

/* Columns of a line with an encoded word, the word's end taken off. */
enum { COLUMNS_MAX = 76 - 2 };

static bool
is_control(char c)
{
	return (uint8_t)c < ' ' || c == 0x7f;
}

static bool
is_ascii(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.p[i] & 0x80) != 0)
			return false;
	return true;
}

/* Words of an atom's characters, with single blanks between them. */
static bool
is_plain(struct str s)
{
	static const char others[] = "!#$%&'*+-/=?^_`{|}~";

	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool is_gap =
		    c == ' ' && i > 0 && i + 1 < s.len && s.p[i - 1] != ' ';
		if (!is_gap && !chr_is_alpha(c) && !chr_is_digit(c) &&
		    (c == '\0' || strchr(others, c) == NULL))
			return false;
	}
	/* "=?" would be read as an encoded word. */
	return s.len < 2 || memmem(s.p, s.len, "=?", 2) == NULL;
}

static void
add_quoted(struct buf *out, struct str s)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, s.p[i]);
	}
	buf_add_char(out, '"');
}

static void
add_byte(struct buf *out, char c)
{
	if (chr_is_alpha(c) || chr_is_digit(c))
		buf_add_char(out, c);
	else if (c == ' ')
		buf_add_char(out, '_');
	else
		buf_addf(out, "=%02X", (unsigned int)(uint8_t)c);
}

static size_t
column_of(const struct buf *b)
{
	const char *lf = b->len == 0 ? NULL : memrchr(b->p, '\n', b->len);

	return lf == NULL ? b->len : b->len - (size_t)(lf + 1 - b->p);
}

/* Each word has whole characters only (RFC 2047 5). */
static void
add_encoded(struct buf *out, struct str s)
{
	bool is_utf8 = utf8_is_valid(s);
	const char *begin = is_utf8 ? "=?UTF-8?Q?" : "=?ISO-8859-1?Q?";

	buf_add_str(out, str_of(begin));
	while (s.len > 0) {
		size_t n = is_utf8 ? utf8_char(s) : 1;
		if (column_of(out) + 3 * n > COLUMNS_MAX) {
			buf_add_str(out, STR("?=\r\n "));
			buf_add_str(out, str_of(begin));
		}
		for (size_t i = 0; i < n; i++)
			add_byte(out, s.p[i]);
		s = str_skip(s, n);
	}
	buf_add_str(out, STR("?="));
}

void
phrase_add(struct buf *out, struct str name)
{
	struct buf clean;

	buf_init(&clean, name.len + 1);
	for (size_t i = 0; i < name.len; i++)
		buf_add_char(&clean, is_control(name.p[i]) ? ' ' : name.p[i]);
	struct str s = str_trim(buf_str(&clean));
	if (!is_ascii(s))
		add_encoded(out, s);
	else if (is_plain(s))
		buf_add_str(out, s);
	else
		add_quoted(out, s);
	buf_clear(&clean);
}
