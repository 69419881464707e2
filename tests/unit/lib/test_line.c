/* The line splitter, the reader of DATA content and its writer. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/net/line.h"

#define STR_INIT(text)                   \
	{                                \
		(text), sizeof(text) - 1 \
	}

START_TEST(lines)
{
	static const struct {
		struct str in;
		enum line_result want;
		size_t used;
	} cases[] = {
		{ { "", 0 }, LINE_MORE, 0 },
		{ { "abc", 3 }, LINE_MORE, 0 },
		{ { "abc\r", 4 }, LINE_MORE, 0 },
		{ { "abc\r\nx", 6 }, LINE_OK, 5 },
		{ { "\r\n", 2 }, LINE_OK, 2 },
		{ { "abc\n", 4 }, LINE_BARE, 4 },
		{ { "abc\rx", 5 }, LINE_BARE, 5 },
		{ { "a\0b", 3 }, LINE_BARE, 3 },
		{ { "\r\r\n", 3 }, LINE_BARE, 3 },
		{ { "12345678\r\n", 10 }, LINE_OK, 10 },
		{ { "123456789\r\n", 11 }, LINE_LONG, 10 },
		{ { "1234567890", 10 }, LINE_LONG, 10 },
		{ { "123456789\r", 10 }, LINE_LONG, 10 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str line;
		size_t used;

		ck_assert_int_eq(
		    line_next(cases[i].in, 10, &line, &used), cases[i].want);
		ck_assert_uint_eq(used, cases[i].used);
		if (cases[i].want == LINE_OK)
			ck_assert_uint_eq(line.len, used - 2);
	}
}

END_TEST

static void
collect(void *ctx, const char *p, size_t len)
{
	buf_add(ctx, p, len);
}

/* Feeds in pieces of step bytes; returns what was consumed. */
static size_t
read_all(struct dot_reader *d, struct str in, size_t step, struct buf *out,
    bool *end)
{
	size_t used = 0;

	*end = false;
	while (used < in.len && !*end)
		used += dot_reader_feed(
		    d, str_head(str_skip(in, used), step), collect, out, end);
	return used;
}

static const struct {
	struct str in, out;
	bool end, bare;
} contents[] = {
	{ { ".\r\n", 3 }, { "", 0 }, true, false },
	{ { "a\r\n.\r\nQUIT\r\n", 12 }, { "a\r\n", 3 }, true, false },
	{ { "..\r\n.x\r\n.\r\n", 11 }, { ".\r\nx\r\n", 6 }, true, false },
	{ { "a\r\n..\r\n", 7 }, { "a\r\n.\r\n", 6 }, false, false },
	{ { "a\n.\r\n", 5 }, { "a\n.\r\n", 5 }, false, true },
	{ { "a\r.\r\n", 5 }, { "a\r.\r\n", 5 }, false, true },
	{ { "a\r\n.\n", 5 }, { "a\r\n\n", 4 }, false, true },
	{ { "a\r\n.\r.\r\n", 8 }, { "a\r\n\r.\r\n", 7 }, false, true },
	{ { "a\r\r\n.\r\n", 7 }, { "a\r\r\n", 4 }, true, true },
	{ { "a\0b\r\n.\r\n", 8 }, { "a\0b\r\n", 5 }, true, true },
	{ { "a\r\n.\r\r\n", 7 }, { "a\r\n\r\r\n", 6 }, false, true },
	{ { "\n\r\n.\r\n", 6 }, { "\n\r\n", 3 }, true, true },
};

START_TEST(content)
{
	struct buf b;

	buf_init(&b, 4096);
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++)
		for (size_t step = 1; step <= contents[i].in.len; step++) {
			struct dot_reader d;
			bool end;
			size_t used;

			buf_reset(&b);
			dot_reader_init(&d, false);
			used = read_all(&d, contents[i].in, step, &b, &end);
			ck_assert_msg(str_eq(buf_str(&b), contents[i].out),
			    "case %zu step %zu: %.*s", i, step, (int)b.len,
			    b.p);
			ck_assert(end == contents[i].end);
			ck_assert(d.bare == contents[i].bare);
			if (!end)
				ck_assert_uint_eq(used, contents[i].in.len);
		}
	buf_clear(&b);
}

END_TEST

START_TEST(normalized)
{
	static const struct str in = { "a\nb\rc\r\n.d\n.\r\n..\n.\n\r\n.\r\n",
		25 };
	struct dot_reader d;
	struct buf b;
	bool end;

	buf_init(&b, 4096);
	for (size_t step = 1; step <= in.len; step++) {
		buf_reset(&b);
		dot_reader_init(&d, true);
		read_all(&d, in, step, &b, &end);
		ck_assert(end);
		ck_assert(d.bare);
		ck_assert(!d.nul);
		ck_assert(str_eq(buf_str(&b),
		    STR("a\r\nb\r\nc\r\nd\r\n.\r\n.\r\n.\r\n\r\n")));
	}
	buf_clear(&b);
}

END_TEST

START_TEST(longest)
{
	static const struct str in = { "ab\r\nabcdef\r\n.abc\r\n.\r\n", 22 };
	struct dot_reader d;
	struct buf b;
	bool end;

	buf_init(&b, 4096);
	for (size_t step = 1; step <= in.len; step++) {
		dot_reader_init(&d, false);
		read_all(&d, in, step, &b, &end);
		ck_assert_uint_eq(d.longest, 6);
		buf_reset(&b);
	}
	buf_clear(&b);
}

END_TEST

/* What the writer makes, any reader gives back, and it has one end. */
START_TEST(there_and_back)
{
	static const char alphabet[] = ".\r\n\0a";
	char text[6];

	for (unsigned int n = 0; n < 5 * 5 * 5 * 5 * 5 * 5; n++) {
		unsigned int v = n;
		for (size_t i = 0; i < 6; i++, v /= 5)
			text[i] = alphabet[v % 5];
		struct buf wire, back;
		struct dot_writer w;
		struct dot_reader r;
		bool end;

		buf_init(&wire, 4096);
		buf_init(&back, 4096);
		dot_writer_init(&w);
		size_t at = n % 7;
		size_t changed = dot_writer_feed(
		    &w, (struct str){ text, at < 6 ? at : 6 }, collect, &wire);
		if (at < 6)
			changed += dot_writer_feed(&w,
			    (struct str){ text + at, 6 - at }, collect, &wire);
		dot_writer_end(&w, collect, &wire);
		dot_reader_init(&r, false);
		ck_assert_uint_eq(
		    read_all(&r, buf_str(&wire), 3, &back, &end), wire.len);
		ck_assert(end);
		ck_assert(!r.bare);
		if (changed == 0 && text[4] == '\r' && text[5] == '\n')
			ck_assert(
			    str_eq(buf_str(&back), (struct str){ text, 6 }));
		buf_clear(&wire);
		buf_clear(&back);
	}
}

END_TEST

/* Content in chunks: dots are dots, and however it is cut it is the same. */
START_TEST(chunks)
{
	static const struct {
		struct str in;
		const char *out;     /* kept as it is */
		const char *made_of; /* with normalize */
		bool bare;
		size_t longest;
	} cases[] = {
		{ STR_INIT("a\r\n.\r\nb\r\n"), "a\r\n.\r\nb\r\n",
		    "a\r\n.\r\nb\r\n", false, 1 },
		{ STR_INIT("..x\r\n"), "..x\r\n", "..x\r\n", false, 3 },
		{ STR_INIT(".\r\n"), ".\r\n", ".\r\n", false, 1 },
		{ STR_INIT("abc"), "abc\r\n", "abc\r\n", false, 3 },
		{ STR_INIT("a\nb\r\n"), "a\nb\r\n", "a\r\nb\r\n", true, 3 },
		{ STR_INIT("a\rb\r\n"), "a\rb\r\n", "a\r\nb\r\n", true, 3 },
		{ STR_INIT("a\r"), "a\r\r\n", "a\r\n", true, 2 },
		{ STR_INIT("\r"), "\r\r\n", "\r\n", true, 1 },
		{ STR_INIT("\r\r\n"), "\r\r\n", "\r\n\r\n", true, 1 },
		{ STR_INIT(""), "", "", false, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step <= cases[i].in.len + 1; step++)
			for (int normal = 0; normal < 2; normal++) {
				const char *want =
				    normal ? cases[i].made_of : cases[i].out;
				struct dot_reader d;
				struct buf out;
				bool end;

				buf_init(&out, 1000);
				chunk_reader_init(&d, normal);
				ck_assert_uint_eq(
				    read_all(&d, cases[i].in, step, &out, &end),
				    cases[i].in.len);
				ck_assert(!end);
				chunk_reader_end(&d, collect, &out);
				ck_assert_msg(
				    str_eq(buf_str(&out), str_of(want)),
				    "case %zu step %zu: %.*s", i, step,
				    (int)out.len, out.p);
				ck_assert(d.bare == cases[i].bare);
				if (!normal)
					ck_assert_uint_eq(
					    d.longest, cases[i].longest);
				buf_clear(&out);
			}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("line");
	TCase *t = tcase_create("line");

	tcase_add_test(t, lines);
	tcase_add_test(t, content);
	tcase_add_test(t, normalized);
	tcase_add_test(t, chunks);
	tcase_add_test(t, longest);
	tcase_add_test(t, there_and_back);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
