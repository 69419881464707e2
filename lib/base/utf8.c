#include "lib/base/utf8.h"

#include <stdint.h>

/* Lead bytes, how many follow, and the bounds of the first that follows
 * (RFC 3629 section 4). */
static const struct {
	uint8_t first, last, follow, low, high;
} leads[] = {
	{ 0x00, 0x7f, 0, 0, 0 },
	{ 0xc2, 0xdf, 1, 0x80, 0xbf },
	{ 0xe0, 0xe0, 2, 0xa0, 0xbf },
	{ 0xe1, 0xec, 2, 0x80, 0xbf },
	{ 0xed, 0xed, 2, 0x80, 0x9f },
	{ 0xee, 0xef, 2, 0x80, 0xbf },
	{ 0xf0, 0xf0, 3, 0x90, 0xbf },
	{ 0xf1, 0xf3, 3, 0x80, 0xbf },
	{ 0xf4, 0xf4, 3, 0x80, 0x8f },
};

static bool
is_within(char c, uint8_t low, uint8_t high)
{
	return (uint8_t)c >= low && (uint8_t)c <= high;
}

size_t
utf8_char(struct str s)
{
	if (s.len == 0)
		return 0;
	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
		if (!is_within(s.p[0], leads[i].first, leads[i].last))
			continue;
		size_t n = leads[i].follow;
		if (s.len < n + 1)
			return 0;
		if (n > 0 && !is_within(s.p[1], leads[i].low, leads[i].high))
			return 0;
		for (size_t k = 2; k <= n; k++)
			if (!is_within(s.p[k], 0x80, 0xbf))
				return 0;
		return n + 1;
	}
	return 0;
}

bool
utf8_is_valid(struct str s)
{
	while (s.len > 0) {
		size_t n = utf8_char(s);
		if (n == 0)
			return false;
		s = str_skip(s, n);
	}
	return true;
}
