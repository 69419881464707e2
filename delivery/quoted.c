#include "delivery/quoted.h"

#include <string.h>

enum { LINE_MAX_BYTES = 75 /* and the `=' of a soft break */ };

/* p on the present line, which is broken before it when it has no room. */
static size_t
put(struct quoted *q, const char *p, unsigned int len, char *out)
{
	size_t n = 0;

	if (q->column + len > LINE_MAX_BYTES) {
		out[n++] = '=';
		out[n++] = '\r';
		out[n++] = '\n';
		q->column = 0;
		q->soft = true;
	}
	memcpy(out + n, p, len);
	q->column += len;
	return n + len;
}

static size_t
put_hex(struct quoted *q, char c, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char u = (unsigned char)c;
	char hex[3] = { '=', digits[u >> 4], digits[u & 15] };

	return put(q, hex, sizeof(hex), out);
}

/* Behind a soft break `--boundary' would begin a line that the text does not
 * have. */
static bool
is_at_soft_break(const struct quoted *q)
{
	return (q->column == 0 && q->soft) || q->column == LINE_MAX_BYTES;
}

static bool
is_literal(char c)
{
	return c > ' ' && c < 0x7f && c != '=';
}

size_t
quoted_byte(struct quoted *q, char c, char *out)
{
	size_t n = 0;

	if (q->blank != '\0')
		n = put(q, &q->blank, 1, out);
	q->blank = '\0';
	if (c == ' ' || c == '\t') {
		q->blank = c;
		return n;
	}
	if (is_literal(c) && !(c == '-' && is_at_soft_break(q)))
		return n + put(q, &c, 1, out + n);
	return n + put_hex(q, c, out + n);
}

size_t
quoted_line_end(struct quoted *q, bool crlf, char *out)
{
	size_t n = q->blank != '\0' ? put_hex(q, q->blank, out) : 0;

	if (crlf) {
		out[n++] = '\r';
		out[n++] = '\n';
	}
	*q = (struct quoted){ 0 };
	return n;
}
