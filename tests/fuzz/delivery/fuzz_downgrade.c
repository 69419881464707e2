/*
 * 8-bit mail into 7-bit: the same however it is split, and converted again it
 * stays as it is. Input: one byte (pieces), the mail.
 */
#include <stdint.h>
#include <stdlib.h>

#include "delivery/downgrade.h"
#include "lib/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

enum { IN_MAX = 4096, OUT_MAX = 1 << 20 };

static void
out(void *ctx, const char *p, size_t len)
{
	buf_add(ctx, p, len);
}

static void
convert(struct str in, size_t piece, struct buf *to)
{
	struct downgrade *d = downgrade_new();

	while (in.len > 0) {
		downgrade_feed(d, str_head(in, piece), out, to);
		in = str_skip(in, piece);
	}
	downgrade_end(d, out, to);
	downgrade_free(&d);
	MUST(!to->failed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = { .max = OUT_MAX }, pieces = { .max = OUT_MAX },
		   again = { .max = OUT_MAX };
	struct str in;

	if (size < 1 || size > IN_MAX)
		return 0;
	in = (struct str){ (const char *)data + 1, size - 1 };
	convert(in, in.len + 1, &whole);
	convert(in, 1U + data[0] % 64U, &pieces);
	MUST(str_eq(buf_str(&whole), buf_str(&pieces)));
	convert(buf_str(&whole), IN_MAX, &again);
	MUST(str_eq(buf_str(&whole), buf_str(&again)));
	buf_clear(&whole);
	buf_clear(&pieces);
	buf_clear(&again);
	return 0;
}
