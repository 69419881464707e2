/* Escapes of ESMTP parameters, both ways. */
#include "lib/mail/xtext.h"

#include <string.h>

#include "lib/base/utf8.h"

enum { HEXPOINT_MAX = 6 };

static int
hex_value(char c)
{
	if (chr_is_digit(c))
		return c - '0';
	c = chr_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* May it stand for itself in any of them? */
static bool
is_plain(char c)
{
	return c > ' ' && c <= '~' && c != '+' && c != '=';
}

/* Takes what was added since `len` back. */
static int
give_back(struct buf *out, size_t len)
{
	out->len = len;
	return -1;
}

/* --- xtext --- */

/* The two digits behind a plus; -1: they are not there. */
static int
hex_byte(struct str s)
{
	int high = s.len < 2 ? -1 : hex_value(s.p[0]);
	int low = s.len < 2 ? -1 : hex_value(s.p[1]);

	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* beyond: bytes beyond ASCII are taken, too, escaped or not. */
static int
unescape(struct str in, bool beyond, struct buf *out)
{
	size_t was = out->len;

	while (in.len > 0) {
		bool escaped = *in.p == '+';
		int c =
		    escaped ? hex_byte(str_skip(in, 1)) : (unsigned char)*in.p;
		bool good = c >= 0x80 ? beyond :
					c >= ' ' && c <= '~' &&
					    (escaped || is_plain(*in.p));

		if (!good)
			return give_back(out, was);
		buf_add_char(out, (char)c);
		in = str_skip(in, escaped ? 3 : 1);
	}
	return 0;
}

int
xtext_decode(struct str in, struct buf *out)
{
	return unescape(in, false, out);
}

void
xtext_add(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (is_plain(s.p[i]))
			buf_add_char(out, s.p[i]);
		else
			buf_addf(
			    out, "+%02X", (unsigned int)(unsigned char)s.p[i]);
}

/* --- unitext --- */

/* A character that an address may have. */
static bool
is_character(uint32_t c)
{
	return c >= ' ' && (c < 0x7f || c >= 0xa0) && c <= 0x10ffff &&
	       (c < 0xd800 || c > 0xdfff);
}

static void
add_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_add_char(out, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_add_char(out, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_add_char(out, (char)(0xe0 | c >> 12));
		} else {
			buf_add_char(out, (char)(0xf0 | c >> 18));
			buf_add_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_add_char(out, (char)(0x80 | (c & 0x3f)));
}

/* The character of n well-formed bytes. */
static uint32_t
character(const char *p, size_t n)
{
	static const unsigned char first[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = (unsigned char)p[0] & first[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)p[i] & 0x3fU);
	return c;
}

/* "\x{HEX}" at the start of s: its length, and the character; 0: none. */
static size_t
embedded(struct str s, uint32_t *c)
{
	size_t i = 3;

	if (s.len < 5 || memcmp(s.p, "\\x{", 3) != 0)
		return 0;
	*c = 0;
	for (; i < s.len && i < 3 + HEXPOINT_MAX && s.p[i] != '}'; i++) {
		int digit = hex_value(s.p[i]);

		if (digit < 0)
			return 0;
		*c = *c << 4 | (uint32_t)digit;
	}
	return i > 3 && i < s.len && s.p[i] == '}' ? i + 1 : 0;
}

int
unitext_decode(struct str in, struct buf *out)
{
	size_t was = out->len, n;
	uint32_t c = 0;

	while (in.len > 0) {
		n = utf8_char(in);
		if (*in.p == '\\')
			n = embedded(in, &c);
		else if (n > 1)
			c = character(in.p, n);
		else if (is_plain(*in.p))
			c = (unsigned char)*in.p;
		else
			n = 0;
		if (n == 0 || !is_character(c))
			return give_back(out, was);
		add_utf8(out, c);
		in = str_skip(in, n);
	}
	return 0;
}

void
unitext_add(struct buf *out, struct str s, bool ascii)
{
	while (s.len > 0) {
		size_t n = utf8_char(s);

		if (n == 0) {
			buf_add_char(out, '?');
			n = 1;
		} else if (n > 1 ? ascii : !is_plain(*s.p) || *s.p == '\\') {
			buf_addf(out, "\\x{%02X}", character(s.p, n));
		} else {
			buf_add(out, s.p, n);
		}
		s = str_skip(s, n);
	}
}

/* --- ORCPT --- */

static struct str
address_of(struct str orcpt)
{
	return str_skip(orcpt, str_find(orcpt, ';') + 1);
}

static bool
is_type(struct str s)
{
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!chr_is_alpha(s.p[i]) && !chr_is_digit(s.p[i]) &&
		    s.p[i] != '-')
			return false;
	return true;
}

bool
orcpt_is_utf8(struct str orcpt)
{
	return str_eq_nocase(
	    str_head(orcpt, str_find(orcpt, ';')), STR("utf-8"));
}

/* Characters that an address may have, and nothing else? */
static bool
is_text(struct str s)
{
	for (size_t n; s.len > 0; s = str_skip(s, n)) {
		n = utf8_char(s);
		if (n == 0 || !is_character(character(s.p, n)))
			return false;
	}
	return true;
}

/* Postfix writes "rfc822;k+C3+A4the@example.net", which is neither xtext nor
 * of that type, and others the bare bytes: it becomes the "utf-8;" that it
 * means. */
static int
decode_misnamed(struct str in, struct buf *out)
{
	struct str type = str_head(in, str_find(in, ';'));
	size_t was = out->len;

	if (!str_eq_nocase(type, STR("rfc822")))
		return -1;
	buf_add_str(out, STR("utf-8;"));
	if (unescape(address_of(in), true, out) != 0 ||
	    !is_text(str_skip(buf_str(out), was)))
		return give_back(out, was);
	return 0;
}

int
orcpt_decode(struct str in, struct buf *out)
{
	struct str type = str_head(in, str_find(in, ';'));
	struct str address = address_of(in);
	size_t was = out->len;

	if (!is_type(type) || address.len == 0)
		return -1;
	buf_add_str(out, type);
	buf_add_char(out, ';');
	if ((orcpt_is_utf8(in) ? unitext_decode : xtext_decode)(address, out) ==
	    0)
		return 0;
	(void)give_back(out, was);
	return decode_misnamed(in, out);
}

void
orcpt_add(struct buf *out, struct str orcpt, bool ascii)
{
	buf_add_str(out, str_head(orcpt, str_find(orcpt, ';')));
	buf_add_char(out, ';');
	if (orcpt_is_utf8(orcpt))
		unitext_add(out, address_of(orcpt), ascii);
	else
		xtext_add(out, address_of(orcpt));
}
