/* Who claims to have checked a mail: nobody outside may say that we did. */
#include "smtpd/auth_results.h"

#include <stddef.h>
#include <string.h>

#include "lib/mail/header.h"
#include "smtpd/body.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind blanks, folds and comments (which nest) at the start of s. */
static struct str
skip_cfws(struct str s)
{
	size_t depth = 0, i;

	for (i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\')
			i++;
		else if (depth == 0 && !is_blank(c))
			break;
	}
	return str_skip(s, i);
}

/* Is the quoted string at the start of s this name? s begins behind the
 * quote. */
static bool
is_quoted(struct str s, struct str name)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len && s.p[i] != '"'; i++) {
		if (s.p[i] == '\\' && i + 1 < s.len)
			i++;
		if (is_blank(s.p[i]))
			continue;
		if (n == name.len || chr_lower(s.p[i]) != chr_lower(name.p[n]))
			return false;
		n++;
	}
	return n == name.len;
}

bool
auth_results_by(struct str value, struct str name)
{
	struct str s = skip_cfws(value);
	size_t n = 0;

	if (s.len > 0 && s.p[0] == '"')
		return is_quoted(str_skip(s, 1), name);
	while (n < s.len && !is_blank(s.p[n]) && s.p[n] != ';' && s.p[n] != '(')
		n++;
	/* A dot at the end is the same host. */
	if (n > 1 && s.p[n - 1] == '.')
		n--;
	return str_eq_nocase(str_head(s, n), name);
}

unsigned int
auth_results_strip(struct body *b, struct str name)
{
	struct str block = body_header(b);
	char *p = b->content.bytes.p;
	size_t pos = b->ours, begin = pos, to = pos;
	struct header_field field;
	unsigned int n = 0;

	/* Those that stay move up, over the ones that go. */
	for (; header_next(block, &pos, &field); begin = pos) {
		if (str_eq_nocase(field.name, STR("Authentication-Results")) &&
		    auth_results_by(field.value, name)) {
			n++;
			continue;
		}
		if (to != begin)
			memmove(p + to, p + begin, pos - begin);
		to += pos - begin;
	}
	if (n > 0)
		body_cut(b, to, pos - to);
	return n;
}
