#include "lib/mail/base64.h"

#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.len; i += 3) {
		size_t n = in.len - i < 3 ? in.len - i : 3;
		uint32_t bits = 0;
		char quantum[4];

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 |
			       (j < n ? (unsigned char)in.p[i + j] : 0U);
		for (size_t j = 0; j < 4; j++)
			quantum[j] =
			    j <= n ? alphabet[bits >> (18 - 6 * j) & 63] : '=';
		buf_add(out, quantum, sizeof(quantum));
	}
}

/* Of one character; -1: it is none of them. */
static int
value(char c)
{
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

int
base64_decode(struct str in, struct buf *out)
{
	if (in.len % 4 != 0)
		return -1;
	for (size_t i = 0; i < in.len; i += 4) {
		const char *p = in.p + i;
		size_t n = 4; /* characters that are not padding */
		uint32_t bits = 0;

		if (i + 4 == in.len)
			n -= (p[3] == '=') +
			     (size_t)(p[3] == '=' && p[2] == '=');
		for (size_t j = 0; j < 4; j++) {
			int v = j < n ? value(p[j]) : 0;

			if (v < 0)
				return -1;
			bits = bits << 6 | (uint32_t)v;
		}
		/* One text, one meaning. */
		if ((n == 2 && (bits & 0xffff) != 0) ||
		    (n == 3 && (bits & 0xff) != 0))
			return -1;
		for (size_t j = 0; j + 1 < n; j++)
			buf_add_char(out, (char)(bits >> (16 - 8 * j) & 0xff));
	}
	return out->failed ? -1 : 0;
}
