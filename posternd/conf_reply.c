/* Replies that the administrator writes: `550 5.1.1 text'. */
#include "posternd/conf_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "posternd/conf_parse.h"

enum { REPLY_MAX = 500 };

static bool
is_printable(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

/* Length of the enhanced code (RFC 3463: class.subject.detail) at the start
 * of s, 0 when there is none. */
static size_t
enhanced_len(struct str s)
{
	size_t n = 0, dots = 0, digits = 0;

	for (; n < s.len && s.p[n] != ' '; n++) {
		if (chr_is_digit(s.p[n]) && ++digits <= 3)
			continue;
		if (s.p[n] != '.' || digits == 0 || ++dots > 2)
			return 0;
		digits = 0;
	}
	return dots == 2 && digits > 0 ? n : 0;
}

static bool
is_reply(struct str s, const char *classes)
{
	return s.len >= 3 && s.p[0] != '\0' &&
	       strchr(classes, s.p[0]) != NULL && s.p[1] >= '0' &&
	       s.p[1] <= '5' && chr_is_digit(s.p[2]) &&
	       (s.len == 3 || s.p[3] == ' ');
}

int
conf_parse_reply(
    struct conf_parser *p, struct str s, const char *classes, char **out)
{
	struct str text = str_trim(str_skip(s, 3));
	size_t code = enhanced_len(text);
	char reply[REPLY_MAX + 16];

	if (!is_reply(s, classes))
		return conf_error(p, "`%.*s' is not a %cxx%s reply",
		    (int)(s.len > 60 ? 60 : s.len), s.p, classes[0],
		    classes[1] != '\0' ? " or 4xx" : "");
	if (!is_printable(s) || s.len > REPLY_MAX)
		return conf_error(p,
		    "a reply is printable ASCII, at most %d bytes", REPLY_MAX);
	if (code > 0 && (text.p[0] != s.p[0] || text.p[1] != '.'))
		return conf_error(p,
		    "the enhanced code `%.*s' is not of class %c", (int)code,
		    text.p, s.p[0]);
	snprintf(reply, sizeof(reply), "%.3s %.*s%s%.*s", s.p, code > 0 ? 0 : 5,
	    s.p[0] == '5' ? "5.7.1" : "4.7.1",
	    code > 0 || text.len == 0 ? "" : " ", (int)text.len, text.p);
	free(*out);
	*out = xstrdup(reply);
	return 0;
}
