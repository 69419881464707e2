/* Encoded words (RFC 2047) and character sets. */
#include <string.h>

#include "milters/rules/mime_name.h"
#include "milters/rules/mime_word.h"

/* Those in which a byte below 0x80 is what it is in ASCII: patterns for ASCII
 * names work on the bytes. Of the others nothing can be said. */
static const char *const ascii_sets[] = { "us-ascii", "utf-8", "iso-8859-",
	"windows-125", "cp125", "koi8-", "gb2312", "gbk", "big5", "euc-",
	"ks_c_5601", "macintosh" };

bool
mime_is_ascii_set(struct str set)
{
	for (size_t i = 0; i < sizeof(ascii_sets) / sizeof(ascii_sets[0]); i++)
		if (str_starts_nocase(set, str_of(ascii_sets[i])))
			return true;
	return set.len == 0;
}

static int
hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, chr_lower(c));

	return at == NULL ? -1 : (int)(at - digits);
}

/* =XX (or %XX), and `_' for a blank. */
bool
mime_decode_hex(struct str in, char sign, struct buf *out)
{
	bool good = true;

	for (; in.len > 0; in = str_skip(in, 1)) {
		int high = in.len > 2 ? hex(in.p[1]) : -1;
		int low = in.len > 2 ? hex(in.p[2]) : -1;

		if (in.p[0] == sign && high >= 0 && low >= 0) {
			buf_add_char(out, (char)(high * 16 + low));
			in = str_skip(in, 2);
		} else if (in.p[0] == sign) {
			good = false;
			buf_add_char(out, sign);
		} else
			buf_add_char(
			    out, sign == '=' && in.p[0] == '_' ? ' ' : in.p[0]);
	}
	return good;
}

static bool
decode_base64(struct str in, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	unsigned int n = 0;

	while (in.len > 0 && in.p[in.len - 1] == '=')
		in.len--;
	for (size_t i = 0; i < in.len; i++) {
		const char *at =
		    in.p[i] == '\0' ? NULL : strchr(digits, in.p[i]);

		if (at == NULL)
			return false;
		bits = bits << 6 | (uint32_t)(at - digits);
		n += 6;
		if (n >= 8) {
			n -= 8;
			buf_add_char(out, (char)(bits >> n & 0xff));
		}
	}
	return n < 6;
}

/* =?charset?B?text?= at the start of in; its length in *used. False: none. */
static bool
decode_word(struct str in, struct buf *out, size_t *used, bool *good)
{
	struct str set, how, text;
	size_t n;

	if (in.len < 2 || in.p[0] != '=' || in.p[1] != '?')
		return false;
	text = str_skip(in, 2);
	n = str_find(text, '?');
	set = str_head(text, n);
	text = str_skip(text, n + 1);
	n = str_find(text, '?');
	how = str_head(text, n);
	text = str_skip(text, n + 1);
	n = str_find(text, '?');
	if (how.len != 1 || n + 1 >= text.len || text.p[n + 1] != '=')
		return false;
	*used = (size_t)(text.p - in.p) + n + 2;
	text = str_head(text, n);
	/* A language (RFC 2231 5). */
	if (!mime_is_ascii_set(str_head(set, str_find(set, '*'))))
		*good = false;
	if (chr_lower(how.p[0]) == 'b')
		*good = decode_base64(text, out) && *good;
	else if (chr_lower(how.p[0]) == 'q')
		*good = mime_decode_hex(text, '=', out) && *good;
	else
		return false;
	return true;
}

bool
mime_decode_words(struct str in, struct buf *out)
{
	bool good = true, after_word = false;
	size_t used, gap;

	while (in.len > 0) {
		for (gap = 0; gap < in.len && after_word &&
			      (in.p[gap] == ' ' || in.p[gap] == '\t');
		     gap++)
			;
		/* Between two words blanks are nothing. */
		if (gap < in.len &&
		    decode_word(str_skip(in, gap), out, &used, &good)) {
			in = str_skip(in, gap + used);
			after_word = true;
			continue;
		}
		after_word = false;
		if (in.len > 1 && in.p[0] == '=' && in.p[1] == '?')
			good = false;
		buf_add_char(out, in.p[0]);
		in = str_skip(in, 1);
	}
	return good && !out->failed;
}
