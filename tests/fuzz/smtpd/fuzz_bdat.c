/*
 * Content in chunks is the same content, however it is cut; and when it is
 * clean, the same as by DATA. The first byte says how it is cut, by steps of
 * the numbers that follow.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/net/line.h"
#include "lib/rules/config.h"
#include "smtpd/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
on_file(void *ctx, struct content *c, bool ok)
{
	(void)ctx;
	(void)c;
	(void)ok;
}

static void
gather(void *ctx, const char *p, size_t len)
{
	buf_add(ctx, p, len);
}

static struct body *
by_chunks(const struct config *c, struct str in, const uint8_t *cuts,
    size_t ncuts, bool normalize)
{
	struct body *b =
	    body_new(&c->limits, 1 << 20, normalize, on_file, NULL);

	body_begin_chunks(b);
	for (size_t i = 0; in.len > 0; i++) {
		size_t n = ncuts > 0 ? cuts[i % ncuts] + 1U : in.len;
		struct str piece = str_head(in, n);

		assert(body_feed(b, piece) == piece.len);
		assert(!b->ended);
		in = str_skip(in, piece.len);
	}
	body_end_chunks(b);
	body_finish(b);
	return b;
}

static struct body *
by_data(const struct config *c, struct str in)
{
	struct body *b = body_new(&c->limits, 1 << 20, false, on_file, NULL);
	struct dot_writer w;
	struct buf out;

	buf_init(&out, 1 << 20);
	dot_writer_init(&w);
	dot_writer_feed(&w, in, gather, &out);
	dot_writer_end(&w, gather, &out);
	assert(body_feed(b, buf_str(&out)) == out.len);
	assert(b->ended);
	body_finish(b);
	buf_clear(&out);
	return b;
}

static void
same(const struct body *a, const struct body *b)
{
	assert(a->fault == b->fault);
	if (a->fault != BODY_FINE)
		return;
	assert(str_eq(buf_str(&a->content.bytes), buf_str(&b->content.bytes)));
	assert(a->head.size == b->head.size);
	assert(a->size == b->size);
}

static void
check_clean(const struct body *b)
{
	struct str s = buf_str(&b->content.bytes);

	assert(s.len == 0 || s.p[s.len - 1] == '\n');
	for (size_t i = 0; i < s.len; i++) {
		assert(s.p[i] != '\0');
		assert(s.p[i] != '\r' || (i + 1 < s.len && s.p[i + 1] == '\n'));
		assert(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *c;
	struct body *whole, *cut, *dotted;
	struct str in;
	size_t ncuts;
	bool normalize;

	if (size < 1 || size > 65536)
		return 0;
	normalize = (data[0] & 0x80) != 0;
	ncuts = data[0] & 7;
	if (size < 1 + ncuts)
		return 0;
	in = (struct str){ (const char *)data + 1 + ncuts, size - 1 - ncuts };
	c = config_new();
	c->limits.header_size = 4096;
	c->limits.header_field = 1024;
	c->limits.header_fields = 20;
	c->limits.hops = 3;
	whole = by_chunks(c, in, NULL, 0, normalize);
	cut = by_chunks(c, in, data + 1, ncuts, normalize);
	same(whole, cut);
	if (whole->fault == BODY_FINE) {
		check_clean(whole);
		dotted = by_data(c, buf_str(&whole->content.bytes));
		same(whole, dotted);
		body_free(&dotted);
	}
	body_free(&whole);
	body_free(&cut);
	config_unref(&c);
	return 0;
}
