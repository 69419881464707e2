/* Three bytes, four characters. */
#include "posternctl/base64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Three bytes or fewer. */
static void
add_group(struct buf *out, const char *p, size_t n)
{
	uint32_t v = 0;

	for (size_t i = 0; i < 3; i++)
		v = v << 8 | (i < n ? (uint8_t)p[i] : 0);
	for (size_t i = 0; i < 4; i++)
		buf_add(
		    out, i <= n ? &alphabet[v >> (18 - 6 * i) & 63] : "=", 1);
}

void
base64_add(struct buf *out, struct buf *held, struct str s)
{
	size_t n = 0;

	buf_add_str(held, s);
	for (; n + 3 <= held->len; n += 3)
		add_group(out, held->p + n, 3);
	buf_drop(held, n);
}

void
base64_end(struct buf *out, struct buf *held)
{
	if (held->len > 0)
		add_group(out, held->p, held->len);
	buf_reset(held);
}
