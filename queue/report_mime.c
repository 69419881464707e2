/* Cleaning, folding, quoting; see report_mime.h. */
#include "queue/report_mime.h"

#include <string.h>

#include "lib/base/utf8.h"

enum { QUOTED_LINE = 72 }; /* and an =XX, and the soft break: 76 */

static bool
is_printable(char c)
{
	return c >= ' ' && c <= '~';
}

/* Length of a character beyond ASCII that may be shown; 0: none is here. */
static size_t
foreign_char(struct str s)
{
	size_t n = utf8_char(s);

	/* U+0080 to U+009F are controls. */
	if (n == 2 && (unsigned char)s.p[0] == 0xc2 &&
	    (unsigned char)s.p[1] < 0xa0)
		return 0;
	return n > 1 ? n : 0;
}

void
mime_clean(struct clean *out, struct str in, bool utf8)
{
	size_t len = 0, n;

	while (in.len > 0) {
		n = utf8 ? foreign_char(in) : 0;
		if (n == 0)
			n = 1;
		if (len + n > sizeof(out->text))
			break;
		if (n == 1)
			out->text[len] = is_printable(*in.p) ? *in.p : '?';
		else
			memcpy(out->text + len, in.p, n);
		len += n;
		in = str_skip(in, n);
	}
	out->s = (struct str){ out->text, len };
}

void
mime_fold(
    struct buf *out, const char *first, const char *indent, struct str words)
{
	size_t column = strlen(first);
	bool begun = false; /* a word stands in this line */

	buf_add_str(out, str_of(first));
	while ((words = str_trim(words)).len > 0) {
		struct str word = str_head(words, str_find(words, ' '));

		if (begun && column + 1 + word.len > MIME_FOLD_AT) {
			buf_addf(out, "\r\n%s", indent);
			column = strlen(indent);
		} else if (begun) {
			buf_add_char(out, ' ');
			column++;
		}
		buf_add_str(out, word);
		column += word.len;
		begun = true;
		words = str_skip(words, word.len);
	}
	buf_add_str(out, STR("\r\n"));
}

bool
mime_is_ascii(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static bool
is_plain_line(struct str line)
{
	if (line.len > MIME_LINE_MAX)
		return false;
	for (size_t i = 0; i < line.len; i++)
		if (!is_printable(line.p[i]) && line.p[i] != '\t' &&
		    (unsigned char)line.p[i] < 0x80)
			return false;
	return true;
}

bool
mime_is_plain(struct str s, bool utf8)
{
	if (!mime_is_ascii(s) && (!utf8 || !utf8_is_valid(s)))
		return false;
	while (s.len > 0) {
		size_t n = str_find(s, '\r');

		if (n + 1 >= s.len || s.p[n + 1] != '\n' ||
		    !is_plain_line(str_head(s, n)))
			return false;
		s = str_skip(s, n + 2);
	}
	return true;
}

bool
mime_is_lines(struct str s)
{
	while (s.len > 0) {
		size_t n = str_find(s, '\r');

		if (n > MIME_LINE_MAX || n + 1 >= s.len || s.p[n + 1] != '\n' ||
		    str_find(str_head(s, n), '\n') < n ||
		    str_find(str_head(s, n), '\0') < n)
			return false;
		s = str_skip(s, n + 2);
	}
	return true;
}

/* May it stand for itself? Blanks only in front of something. */
static bool
is_literal(struct str s)
{
	if (*s.p == ' ' || *s.p == '\t')
		return s.len > 1 && s.p[1] != '\r' && s.p[1] != '\n';
	return is_printable(*s.p) && *s.p != '=';
}

void
mime_quote(struct buf *out, struct str s)
{
	size_t column = 0;

	while (s.len > 0) {
		if (s.len > 1 && s.p[0] == '\r' && s.p[1] == '\n') {
			buf_add_str(out, STR("\r\n"));
			column = 0;
			s = str_skip(s, 2);
			continue;
		}
		if (column > QUOTED_LINE) {
			buf_add_str(out, STR("=\r\n"));
			column = 0;
		}
		if (is_literal(s)) {
			buf_add_char(out, *s.p);
			column++;
		} else {
			buf_addf(
			    out, "=%02X", (unsigned int)(unsigned char)*s.p);
			column += 3;
		}
		s = str_skip(s, 1);
	}
	if (column > 0)
		buf_add_str(out, STR("\r\n"));
}
