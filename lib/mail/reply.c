#include "lib/mail/reply.h"

#include <stdio.h>
#include <string.h>

enum { STATUS_NUMBER_MAX = 999 };

/* One decimal number of a status at *i, moved behind it. 0/-1 */
static int
status_number(struct str s, size_t *i, uint16_t *out)
{
	size_t begin = *i, end = begin;
	uint64_t n;

	while (end < s.len && end - begin < 4 && chr_is_digit(s.p[end]))
		end++;
	if (str_to_u64((struct str){ s.p + begin, end - begin },
		STATUS_NUMBER_MAX, &n) == -1)
		return -1;
	*i = end;
	*out = (uint16_t)n;
	return 0;
}

/* RFC 3463 2: class "." subject "." detail, class 2, 4 or 5. */
int
status_parse(struct str s, struct status *out, struct str *rest)
{
	struct status st;
	size_t i = 2;

	if (s.len < 5 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5') ||
	    s.p[1] != '.')
		return -1;
	st.class = (uint8_t)(s.p[0] - '0');
	if (status_number(s, &i, &st.subject) == -1)
		return -1;
	if (i >= s.len || s.p[i++] != '.')
		return -1;
	if (status_number(s, &i, &st.detail) == -1)
		return -1;
	if (i < s.len && s.p[i] != ' ' && s.p[i] != '\t')
		return -1;
	*out = st;
	*rest = str_trim(str_skip(s, i));
	return 0;
}

const char *
status_format(const struct status *st, char out[static 16])
{
	(void)snprintf(out, 16, "%u.%u.%u", st->class % 10U,
	    st->subject % 1000U, st->detail % 1000U);
	return out;
}

void
reply_init(struct reply *r)
{
	r->code = 0;
	r->status = (struct status){ 0 };
	r->nlines = r->nbytes = 0;
	r->text[0] = '\0';
	r->text_len = 0;
}

/* Keeps what fits of a line's text, whatever bytes it has. */
static void
keep_text(struct reply *r, struct str text)
{
	size_t n = r->text_len;

	if (text.len > 0 && n > 0 && n < REPLY_KEPT_MAX)
		r->text[n++] = ' ';
	for (size_t i = 0; i < text.len && n < REPLY_KEPT_MAX; i++) {
		unsigned char c = (unsigned char)text.p[i];

		r->text[n++] = c >= 0x20 && c < 0x7f ? text.p[i] : '?';
	}
	r->text[n] = '\0';
	r->text_len = n;
}

/* The code at the start of a line, 0 when there is none (RFC 5321 4.2: 2xx
 * to 5xx; 1xx is not used). */
static uint16_t
line_code(struct str line)
{
	uint64_t code;

	if (str_to_u64(str_head(line, 3), 599, &code) == -1 || code < 200)
		return 0;
	return line.len >= 3 ? (uint16_t)code : 0;
}

enum reply_result
reply_add_line(struct reply *r, struct str line)
{
	uint16_t code = line_code(line);
	struct str text = str_trim(str_skip(line, 4)), rest;
	struct status st;

	r->nlines++;
	r->nbytes += line.len + 2;
	if (r->nlines > REPLY_LINES_MAX || r->nbytes > REPLY_TOTAL_MAX ||
	    line.len + 2 > REPLY_LINE_MAX)
		return REPLY_BAD;
	if (code == 0 || (r->code != 0 && code != r->code))
		return REPLY_BAD;
	if (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return REPLY_BAD;
	/* RFC 2034 4: every line carries it; one that contradicts the code
	 * is text. */
	if (status_parse(text, &st, &rest) == 0 && st.class == code / 100) {
		text = rest;
		if (r->code == 0)
			r->status = st;
	}
	r->code = code;
	keep_text(r, text);
	return line.len > 3 && line.p[3] == '-' ? REPLY_MORE : REPLY_DONE;
}
