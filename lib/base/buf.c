#include "lib/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/utf8.h"

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

static void
wipe(struct buf *b)
{
	if (b->secret && b->p != NULL)
		explicit_bzero(b->p, b->cap);
}

/* realloc would leave the former place as it was. */
static void
grow_secret(struct buf *b, size_t cap)
{
	char *p = xmalloc(cap);

	if (b->p != NULL)
		memcpy(p, b->p, b->len);
	wipe(b);
	free(b->p);
	b->p = p;
}

void
buf_clear(struct buf *b)
{
	wipe(b);
	free(b->p);
	buf_init(b, b->max);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

char *
buf_reserve(struct buf *b, size_t len)
{
	if (b->failed || len > b->max || b->len > b->max - len) {
		b->failed = true;
		return NULL;
	}
	if (b->p == NULL || b->cap - b->len < len) {
		size_t cap = b->cap < 64 ? 64 : b->cap;
		while (cap - b->len < len)
			cap *= 2;
		if (cap > b->max)
			cap = b->max;
		if (b->secret)
			grow_secret(b, cap);
		else
			b->p = xreallocarray(b->p, cap, 1);
		b->cap = cap;
	}
	return b->p + b->len;
}

void
buf_commit(struct buf *b, size_t len)
{
	b->len += len;
}

void
buf_add(struct buf *b, const void *p, size_t len)
{
	if (len == 0)
		return;
	char *to = buf_reserve(b, len);
	if (to == NULL)
		return;
	memcpy(to, p, len);
	b->len += len;
}

void
buf_add_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.len);
}

void
buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	char small[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	size_t len = (size_t)n;
	if (len < sizeof(small)) {
		buf_add(b, small, len);
		return;
	}
	char *big = xmalloc(len + 1);
	va_start(ap, fmt);
	vsnprintf(big, len + 1, fmt, ap);
	va_end(ap);
	buf_add(b, big, len);
	free(big);
}

void
buf_drop(struct buf *b, size_t len)
{
	if (len >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->p, b->p + len, b->len - len);
	b->len -= len;
}

/* Of a well-formed character of two or three bytes. */
static unsigned int
code_of(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;

	if (n == 2)
		return (u[0] & 0x1fU) << 6 | (u[1] & 0x3fU);
	return (u[0] & 0x0fU) << 12 | (u[1] & 0x3fU) << 6 | (u[2] & 0x3fU);
}

/* C1 controls, and what turns the direction of writing: JSON ends up on
 * terminals, too. */
static bool
is_control(const char *p, size_t n)
{
	unsigned int c = n == 2 || n == 3 ? code_of(p, n) : 0;

	return (c >= 0x80 && c < 0xa0) || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* One character of a JSON string; returns the bytes of s it took. */
static size_t
add_json_char(struct buf *b, struct str s)
{
	static const char short_form[] = "btnvfr"; /* 8 to 13 */
	unsigned char c = (unsigned char)s.p[0];

	if (c == '"' || c == '\\') {
		buf_addf(b, "\\%c", c);
		return 1;
	}
	if (c >= 8 && c <= 13 && c != 11) {
		buf_addf(b, "\\%c", short_form[c - 8]);
		return 1;
	}
	if (c < 0x20 || c == 0x7f) {
		buf_addf(b, "\\u%04x", c);
		return 1;
	}
	size_t n = utf8_char(s);
	if (n == 0) {
		buf_add(b, "\xef\xbf\xbd", 3);
		return 1;
	}
	if (is_control(s.p, n))
		buf_addf(b, "\\u%04x", code_of(s.p, n));
	else
		buf_add(b, s.p, n);
	return n;
}

void
buf_add_json(struct buf *b, struct str s)
{
	buf_add_char(b, '"');
	while (s.len > 0)
		s = str_skip(s, add_json_char(b, s));
	buf_add_char(b, '"');
}

struct str
buf_str(const struct buf *b)
{
	return (struct str){ b->p, b->len };
}
