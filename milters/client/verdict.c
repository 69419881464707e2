/* Reply codes of filters: judged whole, then written anew. */
#include "milters/client/verdict.h"

#include <string.h>

#include "lib/base/utf8.h"
#include "lib/mail/reply.h"

enum {
	LINES_MAX = 32,
	LINE_MAX_BYTES = 510, /* RFC 5321 4.5.3.1.5, without CRLF */
	CODE_LEN = 4          /* "550 " */
};

/* Takes the next line off *text; false when there is none. */
static bool
next_line(struct str *text, struct str *line)
{
	const char *lf;

	if (text->p == NULL)
		return false;
	lf = memchr(text->p, '\n', text->len);
	if (lf == NULL) {
		*line = *text;
		*text = (struct str){ NULL, 0 };
		return true;
	}
	*line = str_head(*text, (size_t)(lf - text->p) + 1);
	*text = str_skip(*text, line->len);
	return true;
}

/* "550-" in front of others, "550 " in the last; the same code as before. */
static bool
is_code(struct str line, const char *code, bool last)
{
	return line.len >= CODE_LEN && (line.p[0] == '4' || line.p[0] == '5') &&
	       chr_is_digit(line.p[1]) && chr_is_digit(line.p[2]) &&
	       memcmp(line.p, code, 3) == 0 && line.p[3] == (last ? ' ' : '-');
}

/* What looks like an enhanced status code may not contradict the code. */
static bool
is_contradiction(struct str line)
{
	struct str s = str_skip(line, CODE_LEN);

	return s.len >= 2 && chr_is_digit(s.p[0]) && s.p[1] == '.' &&
	       s.p[0] != line.p[0];
}

static bool
is_line(struct str line, const char *code, bool last)
{
	if (!last) {
		if (line.len < 2 || line.p[line.len - 2] != '\r')
			return false;
		line.len -= 2;
	}
	return is_code(line, code, last) && !is_contradiction(line) &&
	       memchr(line.p, '\r', line.len) == NULL &&
	       memchr(line.p, '\n', line.len) == NULL;
}

static bool
is_reply(struct str text)
{
	const char *code = text.p;
	struct str line;
	int n = 0;

	if (text.len == 0 || memchr(text.p, '\0', text.len) != NULL)
		return false;
	while (next_line(&text, &line)) {
		if (++n > LINES_MAX || !is_line(line, code, text.p == NULL))
			return false;
	}
	return true;
}

/* The text without what a client should not see, at most max bytes. */
static void
add_clean(struct str s, bool utf8, size_t max, struct buf *out)
{
	size_t end = out->len + max, n;

	for (; s.len > 0; s = str_skip(s, n)) {
		bool is_text =
		    s.p[0] == '\t' || (s.p[0] >= ' ' && s.p[0] < 0x7f);

		n = utf8 ? utf8_char(s) : 1;
		is_text = is_text || n > 1;
		if (n == 0)
			n = 1;
		/* Filters double it for the MTAs that print by it. */
		if (s.p[0] == '%') {
			if (s.len < 2 || s.p[1] != '%')
				continue;
			s = str_skip(s, 1);
		}
		if (out->len + n > end)
			return;
		if (is_text)
			buf_add(out, s.p, n);
		else
			buf_add_char(out, '?');
	}
}

/* One line without its CRLF; status: for those that have none. */
static void
add_line(struct str line, bool utf8, struct status *status, struct buf *out)
{
	char text[16];
	struct status st;
	struct str rest = str_skip(line, CODE_LEN);
	size_t begin = out->len;

	if (status_parse(rest, &st, &rest) == 0)
		*status = st;
	buf_add(out, line.p, CODE_LEN);
	buf_addf(out, "%s ", status_format(status, text));
	add_clean(rest, utf8, LINE_MAX_BYTES - (out->len - begin), out);
	while (out->len > begin + CODE_LEN && out->p[out->len - 1] == ' ')
		out->len--;
}

int
verdict_parse(struct str payload, bool utf8, struct buf *out,
    enum milter_verdict *verdict)
{
	struct status status = { .subject = 7, .detail = 1 };
	struct str line;
	size_t begin = out->len;

	if (payload.len > 0 && payload.p[payload.len - 1] == '\0')
		payload.len--;
	if (!is_reply(payload))
		return -1;
	status.class = payload.p[0] == '4' ? 4 : 5;
	*verdict = status.class == 5                ? MILTER_REJECT :
		   memcmp(payload.p, "421", 3) == 0 ? MILTER_SHUTDOWN :
						      MILTER_TEMPFAIL;
	while (next_line(&payload, &line)) {
		bool last = payload.p == NULL;

		if (!last)
			line.len -= 2;
		add_line(line, utf8, &status, out);
		if (!last)
			buf_add_str(out, STR("\r\n"));
	}
	if (out->failed)
		out->len = begin;
	return out->failed ? -1 : 0;
}

const char *
verdict_default(enum milter_verdict v)
{
	switch (v) {
	case MILTER_TEMPFAIL:
		return "451 4.7.1 Service unavailable - try again later";
	case MILTER_REJECT:
		return "550 5.7.1 Command rejected";
	case MILTER_SHUTDOWN:
		return "421 4.7.1 Service unavailable - try again later";
	case MILTER_ACCEPT:
	case MILTER_CONTINUE:
	case MILTER_QUARANTINE:
	case MILTER_DISCARD:
		break;
	}
	return NULL;
}
