#include "lib/base/str.h"

#include <string.h>

#include "lib/base/alloc.h"

struct str
str_of(const char *s)
{
	return (struct str){ s, s == NULL ? 0 : strlen(s) };
}

bool
str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

char
chr_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
chr_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
chr_is_alpha(char c)
{
	c = chr_lower(c);
	return c >= 'a' && c <= 'z';
}

bool
str_eq_nocase(struct str a, struct str b)
{
	return a.len == b.len && str_starts_nocase(a, b);
}

bool
str_starts_nocase(struct str s, struct str prefix)
{
	if (s.len < prefix.len)
		return false;
	for (size_t i = 0; i < prefix.len; i++)
		if (chr_lower(s.p[i]) != chr_lower(prefix.p[i]))
			return false;
	return true;
}

int
str_cmp(struct str a, struct str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n == 0 ? 0 : memcmp(a.p, b.p, n);
	if (c != 0)
		return c;
	return (a.len > b.len) - (a.len < b.len);
}

size_t
str_find(struct str s, char c)
{
	if (s.len == 0)
		return 0;
	const char *p = memchr(s.p, c, s.len);
	return p == NULL ? s.len : (size_t)(p - s.p);
}

struct str
str_skip(struct str s, size_t n)
{
	if (n >= s.len)
		return (struct str){ NULL, 0 };
	return (struct str){ s.p + n, s.len - n };
}

struct str
str_head(struct str s, size_t n)
{
	if (n < s.len)
		s.len = n;
	return s;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct str
str_cut(struct str *s, char c)
{
	size_t n = str_find(*s, c);
	struct str field = str_head(*s, n);

	*s = str_skip(*s, n + 1);
	return field;
}

struct str
str_trim(struct str s)
{
	while (s.len > 0 && is_blank(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

int
str_to_u64(struct str s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.len == 0)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		if (!chr_is_digit(s.p[i]))
			return -1;
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return -1;
	}
	if (v > max)
		return -1;
	*out = v;
	return 0;
}

char *
str_dup(struct str s)
{
	return xstrndup(s.p, s.len);
}

char *
str_place(char **p, struct str s)
{
	char *at = *p;

	if (s.len > 0)
		memcpy(at, s.p, s.len);
	at[s.len] = '\0';
	*p = at + s.len + 1;
	return at;
}
