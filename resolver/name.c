/* Labels, pointers, escapes: RFC 1035 3.1 and 4.1.4. */
#include "resolver/name.h"

#include <string.h>

enum { LABEL_MAX = 63, POINTERS_MAX = 50 /* of one name, as c-ares has it */ };

static int
name_add_label(struct name *n, const uint8_t *label, size_t len)
{
	/* room for the root behind it */
	if (n->len + len + 2 > sizeof(n->wire))
		return -1;
	n->wire[n->len++] = (uint8_t)len;
	for (size_t i = 0; i < len; i++)
		n->wire[n->len++] = (uint8_t)chr_lower((char)label[i]);
	return 0;
}

int
name_read(const uint8_t *p, size_t len, size_t *at, struct name *n)
{
	size_t here = *at, begin = *at, pointers = 0;

	n->len = 0;
	for (;;) {
		if (here >= len)
			return -1;
		size_t c = p[here++];
		if (c == 0)
			break;
		if (c <= LABEL_MAX) {
			if (c > len - here ||
			    name_add_label(n, p + here, c) == -1)
				return -1;
			here += c;
			continue;
		}
		if (c < 0xc0 || here >= len)
			return -1;
		size_t to = (c & 0x3f) << 8 | p[here++];
		if (pointers++ == 0)
			*at = here;
		if (to >= begin || pointers > POINTERS_MAX)
			return -1;
		here = begin = to;
	}
	n->wire[n->len++] = 0;
	if (pointers == 0)
		*at = here;
	return 0;
}

bool
name_eq(const struct name *a, const struct name *b)
{
	return a->len == b->len && memcmp(a->wire, b->wire, a->len) == 0;
}

/* Bytes that c-ares puts a backslash before. */
static bool
is_special(uint8_t c)
{
	return strchr("\".;\\()@$", c) != NULL;
}

void
name_format(const struct name *n, struct buf *out)
{
	for (size_t i = 0; n->wire[i] != 0; i += n->wire[i] + 1U) {
		if (i > 0)
			buf_add_char(out, '.');
		for (size_t k = 1; k <= n->wire[i]; k++) {
			uint8_t c = n->wire[i + k];
			if (c < 0x21 || c > 0x7e)
				buf_addf(out, "\\%03u", c);
			else if (is_special(c))
				buf_addf(out, "\\%c", c);
			else
				buf_add_char(out, (char)c);
		}
	}
}

int
name_parse(struct str text, struct name *n)
{
	n->len = 0;
	while (text.len > 0) {
		size_t dot = str_find(text, '.');
		if (dot == 0 || dot > LABEL_MAX || dot + 1 == text.len ||
		    name_add_label(n, (const uint8_t *)text.p, dot) == -1)
			return -1;
		text = str_skip(text, dot + 1);
	}
	n->wire[n->len++] = 0;
	return 0;
}
