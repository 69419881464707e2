/*
 * What reports say: tests/golden/report/NAME.in describes one, NAME.out is
 * its text. A description is lines of "KEYWORD VALUE"; behind "header" stand
 * the lines of the original's header. \xHH is a byte, \{N}C the byte C
 * N times. With -u the .out files are written anew.
 */
#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "tests/unit/queue/parts.h"
#include "tests/unit/queue/report_check.h"

enum { RCPTS_MAX = 1200, FILE_MAX = 1 << 20 };

static struct report_rcpt rcpts[RCPTS_MAX];
static bool update;

/* --- the description --- */

struct golden {
	struct report r;
	struct report_rcpt *last;
	struct buf header;
	char *keep[4 * RCPTS_MAX]; /* owned texts */
	size_t nkeep;
};

static struct str
unescape(struct golden *g, struct str in)
{
	struct buf out;
	unsigned int n;
	int used;

	buf_init(&out, FILE_MAX);
	while (in.len > 0) {
		used = 0;
		if (in.len >= 4 && sscanf(in.p, "\\x%2x%n", &n, &used) == 1 &&
		    used == 4) {
			buf_add_char(&out, (char)n);
		} else if (in.p[0] == '\\' && in.len > 1 && in.p[1] == '{') {
			ck_assert_int_eq(
			    sscanf(in.p, "\\{%u}%n", &n, &used), 1);
			while (n-- > 0)
				buf_add_char(&out, in.p[used]);
			used++;
		} else {
			buf_add_char(&out, *in.p);
			used = 1;
		}
		in = str_skip(in, (size_t)used);
	}
	ck_assert_uint_lt(g->nkeep, sizeof(g->keep) / sizeof(g->keep[0]));
	g->keep[g->nkeep++] = out.p;
	return buf_str(&out);
}

static uint64_t
number(struct str value)
{
	uint64_t n;

	ck_assert_int_eq(str_to_u64(value, UINT64_MAX, &n), 0);
	return n;
}

static void
set_kind(struct golden *g, struct str value)
{
	static const char *const names[] = { "failed", "delayed", "double",
		"success" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eq(value, str_of(names[i]))) {
			g->r.kind = (enum report_kind)i;
			return;
		}
	ck_abort_msg("no such kind");
}

/* The last recipient n times, each with a number in front. */
static void
repeat(struct golden *g, uint64_t n)
{
	struct report_rcpt first = *g->last;

	for (uint64_t i = 0; i < n; i++) {
		size_t size = first.to.len + 24;
		char *to = xmalloc(size);

		snprintf(to, size, "%llu-%.*s", (unsigned long long)i,
		    (int)first.to.len, first.to.p);
		ck_assert_uint_lt(g->r.nrcpt, RCPTS_MAX);
		g->keep[g->nkeep++] = to;
		rcpts[g->r.nrcpt] = first;
		rcpts[g->r.nrcpt++].to = str_of(to);
	}
}

/* A line of the body, which is returned. */
static void
set_body(struct golden *g, struct str value)
{
	struct buf b;

	buf_init(&b, FILE_MAX);
	buf_add_str(&b, g->r.body);
	buf_add_str(&b, value);
	buf_add_str(&b, STR("\r\n"));
	g->keep[g->nkeep++] = b.p;
	g->r.body = buf_str(&b);
	g->r.returns_body = true;
}

static void
set_field(struct golden *g, struct str key, struct str value)
{
	if (str_eq(key, STR("kind")))
		set_kind(g, value);
	else if (str_eq(key, STR("utf8")))
		g->r.utf8 = true;
	else if (str_eq(key, STR("id")))
		g->r.id = value;
	else if (str_eq(key, STR("hostname")))
		g->r.hostname = value;
	else if (str_eq(key, STR("to")))
		g->r.to = value;
	else if (str_eq(key, STR("from")))
		g->r.from = value;
	else if (str_eq(key, STR("now")))
		g->r.now_ms = number(value);
	else if (str_eq(key, STR("arrival")))
		g->r.arrival_ms = number(value);
	else if (str_eq(key, STR("original")))
		g->r.original_id = value;
	else if (str_eq(key, STR("rcpt")))
		(g->last = &rcpts[g->r.nrcpt++])->to = value;
	else if (str_eq(key, STR("reply")))
		g->last->reply = value;
	else if (str_eq(key, STR("relay")))
		g->last->relay = value;
	else if (str_eq(key, STR("orcpt")))
		g->last->orcpt = value;
	else if (str_eq(key, STR("relayed")))
		g->last->relayed = true;
	else if (str_eq(key, STR("envid")))
		g->r.envid = value;
	else if (str_eq(key, STR("body")))
		set_body(g, value);
	else if (str_eq(key, STR("last")))
		g->last->last_ms = number(value);
	else if (str_eq(key, STR("until")))
		g->last->until_ms = number(value);
	else if (str_eq(key, STR("repeat")))
		repeat(g, number(value));
	else
		ck_abort_msg("unknown: %.*s", (int)key.len, key.p);
}

static void
parse(struct golden *g, struct str in)
{
	while (in.len > 0) {
		struct str line = str_head(in, str_find(in, '\n'));
		size_t n = str_find(line, ' ');

		in = str_skip(in, line.len + 1);
		if (g->r.has_header) {
			buf_add_str(&g->header, unescape(g, line));
			buf_add_str(&g->header, STR("\r\n"));
		} else if (str_eq(line, STR("header"))) {
			g->r.has_header = true;
		} else if (line.len > 0 && line.p[0] != '#') {
			set_field(g, str_head(line, n),
			    unescape(g, str_skip(line, n + 1)));
		}
	}
	g->r.header = buf_str(&g->header);
}

/* --- files --- */

static struct buf
read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct buf b;
	char *p;

	buf_init(&b, FILE_MAX);
	if (f == NULL)
		return b;
	p = buf_reserve(&b, FILE_MAX);
	buf_commit(&b, fread(p, 1, FILE_MAX, f));
	fclose(f);
	return b;
}

static void
write_file(const char *path, struct str s)
{
	FILE *f = fopen(path, "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(s.p, 1, s.len, f), s.len);
	ck_assert_int_eq(fclose(f), 0);
}

static void
check_golden(const char *path)
{
	struct golden g = { 0 };
	struct buf in = read_file(path), want, out;
	struct report_made made;
	char result[256];
	const char *wrong;

	snprintf(
	    result, sizeof(result), "%.*sout", (int)strlen(path) - 2, path);
	memset(rcpts, 0, sizeof(rcpts));
	g.r.rcpts = rcpts;
	buf_init(&g.header, FILE_MAX);
	buf_init(&out, REPORT_MAX);
	parse(&g, buf_str(&in));
	report_build(&g.r, &out, &made);
	wrong = report_check(&g.r, buf_str(&out), &made);
	ck_assert_msg(wrong == NULL, "%s: %s", path, wrong);
	if (update)
		write_file(result, buf_str(&out));
	want = read_file(result);
	ck_assert_msg(str_eq(buf_str(&want), buf_str(&out)),
	    "%s is not what it should be:\n%.*s", result, (int)out.len, out.p);
	buf_clear(&in);
	buf_clear(&want);
	buf_clear(&out);
	buf_clear(&g.header);
	while (g.nkeep > 0)
		free(g.keep[--g.nkeep]);
}

START_TEST(golden)
{
	glob_t found;

	ck_assert_int_eq(glob("tests/golden/report/*.in", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_golden(found.gl_pathv[i]);
	globfree(&found);
}

END_TEST

/* --- more than one report can say --- */

START_TEST(says_as_much_as_fits)
{
	struct report r = {
		.hostname = STR("mx.example"),
		.id = STR("0123456789abcdef"),
		.to = STR("a@x"),
		.rcpts = rcpts,
		.nrcpt = RCPTS_MAX,
	};
	struct report_made made;
	struct buf out;
	uint32_t told = 0, reports = 0;

	for (size_t i = 0; i < RCPTS_MAX; i++)
		rcpts[i] = (struct report_rcpt){ .to = STR("someone@y"),
			.reply = STR("550 5.1.1 no such user"),
			.relay = STR("mx.y[192.0.2.1]:25") };
	buf_init(&out, REPORT_MAX);
	for (; r.nrcpt > 0; reports++) {
		report_build(&r, &out, &made);
		ck_assert_ptr_null(report_check(&r, buf_str(&out), &made));
		r.rcpts += made.nrcpt;
		r.nrcpt -= made.nrcpt;
		told += made.nrcpt;
	}
	ck_assert_uint_eq(told, RCPTS_MAX);
	ck_assert_uint_gt(reports, 1);
	ck_assert_uint_lt(reports, 10);
	buf_clear(&out);
}

END_TEST

/* The longest of everything still fits. */
START_TEST(never_grows_too_large)
{
	static char bytes[REPORT_HEADER_MAX * 2];
	struct report r = { .rcpts = rcpts, .nrcpt = RCPTS_MAX };
	struct report_made made;
	struct buf out;

	buf_init(&out, REPORT_MAX);
	for (int fill = 0; fill < 256; fill += 51) {
		struct str much = { bytes, sizeof(bytes) };

		memset(bytes, fill, sizeof(bytes));
		r.id = r.hostname = r.to = r.from = r.original_id = much;
		r.header = much;
		r.has_header = true;
		for (size_t i = 0; i < RCPTS_MAX; i++)
			rcpts[i] = (struct report_rcpt){ .to = much,
				.reply = much,
				.relay = much,
				.orcpt =
				    i % 2 == 0 ? much : STR("utf-8;\xc3\xa9@x"),
				.relayed = i % 3 == 0,
				.last_ms = 1,
				.until_ms = 1 };
		for (int kind = 0; kind <= REPORT_SUCCESS; kind++) {
			r.kind = (enum report_kind)kind;
			r.utf8 = kind == 1;
			report_build(&r, &out, &made);
			ck_assert(!out.failed);
			ck_assert_ptr_null(
			    report_check(&r, buf_str(&out), &made));
		}
	}
	buf_clear(&out);
}

END_TEST

/* --- the pieces --- */

static const char *
quoted(const char *in)
{
	static struct buf out;

	buf_clear(&out);
	buf_init(&out, 4096);
	mime_quote(&out, str_of(in));
	buf_add_char(&out, '\0');
	return out.p;
}

/* An original recipient that is too long for a line is left out, not cut. */
START_TEST(original_recipients)
{
	static const char original[] =
	    "\r\nOriginal-Recipient: utf-8; \\x{E4}@y\r\nFinal";
	char long_one[494];
	struct report_rcpt rcpt = { .to = STR("b@y"), .reply = STR("4.0.0") };
	struct report r = { .id = STR("1"),
		.hostname = STR("mx"),
		.to = STR("a@x"),
		.original_id = STR("2"),
		.utf8 = true,
		.rcpts = &rcpt,
		.nrcpt = 1 };
	struct report_made made;
	struct buf out;

	buf_init(&out, REPORT_MAX);
	rcpt.orcpt = STR("utf-8;\xc3\xa4@y");
	report_build(&r, &out, &made);
	ck_assert_ptr_nonnull(
	    memmem(out.p, out.len, original, sizeof(original) - 1));
	for (size_t i = 0; i < sizeof(long_one); i++)
		long_one[i] = i < 6 ? "utf-8;"[i] : "\xc3\xa4"[i % 2];
	for (size_t len = 200; len <= sizeof(long_one); len += 2) {
		rcpt.orcpt = (struct str){ long_one, len };
		report_build(&r, &out, &made);
		/* Six characters for two bytes. */
		ck_assert_int_eq(
		    memmem(out.p, out.len, "Original-Rec", 12) != NULL,
		    (len - 6) * 3 <= 640);
	}
	buf_clear(&out);
}

END_TEST

START_TEST(quotes)
{
	ck_assert_str_eq(quoted("a=b\r\nc\r\n"), "a=3Db\r\nc\r\n");
	ck_assert_str_eq(quoted("a \r\nb\t"), "a=20\r\nb=09\r\n");
	ck_assert_str_eq(quoted("a\nb\rc"), "a=0Ab=0Dc\r\n");
	ck_assert_str_eq(quoted("\xc3\xa4"), "=C3=A4\r\n");
	ck_assert_str_eq(quoted("1234567890123456789012345678901234567890"
				"123456789012345678901234567890123456"),
	    "1234567890123456789012345678901234567890"
	    "123456789012345678901234567890123=\r\n456\r\n");
}

END_TEST

START_TEST(folds)
{
	struct buf out;

	buf_init(&out, 4096);
	mime_fold(&out, "Diagnostic-Code: smtp; ", " ",
	    STR("  550  5.1.1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		" bbbbbbbbbb c  "));
	ck_assert(str_eq(
	    buf_str(&out), STR("Diagnostic-Code: smtp; 550 5.1.1"
			       " aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
			       " bbbbbbbbbb c\r\n")));
	buf_clear(&out);
}

END_TEST

START_TEST(cleans)
{
	struct clean c;

	mime_clean(&c, STR("a\r\nb\0\x7f\xc3\xa4"), false);
	ck_assert(str_eq(c.s, STR("a??b??\?\?")));
	mime_clean(&c, STR("\xc3\xa4\xc2\x85\xff\xe2\x82"), true);
	ck_assert(str_eq(c.s, STR("\xc3\xa4\?\?\?\?\?")));
	ck_assert(mime_is_plain(STR("a\tb\r\n\r\n"), false));
	ck_assert(!mime_is_plain(STR("a"), false));
	ck_assert(!mime_is_plain(STR("a\nb\r\n"), false));
	ck_assert(!mime_is_plain(STR("\xc3\xa4\r\n"), false));
	ck_assert(mime_is_plain(STR("\xc3\xa4\r\n"), true));
	ck_assert(!mime_is_plain(STR("\xc3\r\n"), true));
}

END_TEST

int
main(int argc, char **argv)
{
	const TTest *const tests[] = { golden, says_as_much_as_fits,
		never_grows_too_large, original_recipients, quotes, folds,
		cleans };

	update = argc > 1 && strcmp(argv[1], "-u") == 0;
	return PART_RUN("report_text", tests);
}
