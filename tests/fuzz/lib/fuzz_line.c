/*
 * Lines and content: any input, split anywhere, gives the same, ends in one
 * place only, and what the writer makes of it is clean.
 * Input: two bytes (split points), then the bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/net/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
collect(void *ctx, const char *p, size_t len)
{
	buf_add(ctx, p, len);
}

static size_t
read_split(struct str in, size_t step, bool normalize, struct buf *out,
    struct dot_reader *d, bool *end)
{
	size_t used = 0;

	dot_reader_init(d, normalize);
	*end = false;
	while (used < in.len && !*end)
		used += dot_reader_feed(
		    d, str_head(str_skip(in, used), step), collect, out, end);
	return used;
}

static void
content(struct str in, size_t step, bool normalize)
{
	struct buf a, b, wire, back;
	struct dot_reader ra, rb, rc;
	struct dot_writer w;
	bool ea, eb, ec;
	size_t ua, ub;

	buf_init(&a, 1 << 20);
	buf_init(&b, 1 << 20);
	buf_init(&wire, 1 << 21);
	buf_init(&back, 1 << 21);
	ua = read_split(in, in.len, normalize, &a, &ra, &ea);
	ub = read_split(in, step, normalize, &b, &rb, &eb);
	MUST(ua == ub && ea == eb && str_eq(buf_str(&a), buf_str(&b)));
	MUST(ra.bare == rb.bare && ra.longest == rb.longest);
	if (ea && !ra.bare)
		MUST(ua >= 3 && memcmp(in.p + ua - 3, ".\r\n", 3) == 0);
	dot_writer_init(&w);
	for (size_t n = 0; n < a.len; n += step)
		dot_writer_feed(&w, str_head(str_skip(buf_str(&a), n), step),
		    collect, &wire);
	dot_writer_end(&w, collect, &wire);
	MUST(read_split(buf_str(&wire), step, false, &back, &rc, &ec) ==
	     wire.len);
	MUST(ec && !rc.bare);
	if (ea && !ra.bare)
		MUST(str_eq(buf_str(&a), buf_str(&back)));
	buf_clear(&a);
	buf_clear(&b);
	buf_clear(&wire);
	buf_clear(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in, line;
	enum line_result r, whole;
	size_t used, max;

	if (size < 2 || size > 4096)
		return 0;
	in = (struct str){ (const char *)data + 2, size - 2 };
	content(in, 1 + data[0] % 16, (data[1] & 1) != 0);
	max = 1 + data[1];
	whole = line_next(in, max, &line, &used);
	/* More bytes never change an answer that was given. */
	for (size_t n = 0; n <= in.len; n++) {
		r = line_next(str_head(in, n), max, &line, &used);
		MUST(used <= n);
		if (r != LINE_MORE) {
			MUST(r == whole);
			break;
		}
	}
	return 0;
}
