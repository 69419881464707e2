/*
 * Filters' edits as files: tests/golden/milter/NAME.in has a mail and what
 * filters said, NAME.out what became of it. -u writes the .out files anew.
 *
 *	> TEXT		a line of the header; >> one of ours; end: the empty
 *			line that ends it
 *	filter [leadspc] [beside]	begins a filter; beside: in one step
 *			with the one before
 *	h NAME|VALUE	its packets; i and m with an index in front; b TEXT,
 *			+ ADDRESS, 2 ADDRESS|ARGS, - ADDRESS, e ADDRESS, q TEXT
 *
 * \n \r \t \\ and \xHH are bytes; # begins a comment.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/client/edit_check.h"

enum { FILE_MAX = 1 << 20, FILTERS_MAX = 16 };

static bool update;

struct one {
	struct edits *edits;
	uint32_t step, first;
	const char *fault;
};

struct golden {
	struct buf block;
	struct one filters[FILTERS_MAX];
	uint32_t n, applied;
	struct buf out;
};

static void
unescape(struct str in, struct buf *out)
{
	static const char names[] = "nrt\\", bytes[] = "\n\r\t\\";

	while (in.len > 0) {
		unsigned int byte;
		size_t used = 1;
		const char *at;

		if (in.p[0] != '\\' || in.len < 2) {
			buf_add_char(out, in.p[0]);
		} else if (in.len >= 4 && sscanf(in.p, "\\x%2x", &byte) == 1) {
			buf_add_char(out, (char)byte);
			used = 4;
		} else {
			at = strchr(names, in.p[1]);
			ck_assert_ptr_nonnull(at);
			buf_add_char(out, bytes[at - names]);
			used = 2;
		}
		in = str_skip(in, used);
	}
}

/* Text with each CRLF as a line's end, and nothing else hidden. */
static void
show(struct golden *g, const char *before, struct str s)
{
	bool begins = true;

	for (; s.len > 0; s = str_skip(s, 1)) {
		if (begins)
			buf_add_str(&g->out, str_of(before));
		begins = s.len > 1 && s.p[0] == '\r' && s.p[1] == '\n';
		if (begins) {
			buf_add_char(&g->out, '\n');
			s = str_skip(s, 1);
		} else if (s.p[0] == '\t')
			buf_add_str(&g->out, STR("\\t"));
		else if (s.p[0] < ' ' || s.p[0] == 0x7f)
			buf_addf(&g->out, "\\x%02x",
			    (unsigned int)(unsigned char)s.p[0]);
		else
			buf_add_char(&g->out, s.p[0]);
	}
	if (!begins)
		buf_add_str(&g->out, STR("\\\n"));
}

/* --- filters --- */

static void
tell_conflict(void *ctx, const struct header_node *n)
{
	struct golden *g = ctx;

	buf_addf(&g->out, "conflict: %.*s, by filter %u before\n",
	    (int)n->name.len, n->name.p, n->changed_by);
}

static void
apply_one(struct golden *g, uint32_t i)
{
	struct one *f = &g->filters[i];
	struct buf text;

	buf_init(&text, FILE_MAX);
	edits_describe(f->edits, &text);
	if (f->fault == NULL) {
		edits_end(f->edits);
		edits_apply(f->edits, f->step, f->first, &sum, &f->fault,
		    tell_conflict, g);
	}
	buf_addf(&g->out, "filter %u: ", i + 1);
	if (f->fault != NULL)
		buf_addf(&g->out, "FAULT %s", f->fault);
	else
		buf_add_str(&g->out, buf_str(&text));
	buf_add_char(&g->out, '\n');
	buf_clear(&text);
	edits_free(&f->edits);
}

/* What was said up to now holds, before the next step begins. */
static void
apply_step(struct golden *g)
{
	while (g->applied < g->n)
		apply_one(g, g->applied++);
}

/* --- the file --- */

static void
read_filter(struct golden *g, struct str options)
{
	struct one *f = &g->filters[g->n];
	bool beside = options.len > 0 &&
		      memmem(options.p, options.len, "beside", 6) != NULL;
	bool lead = options.len > 0 &&
		    memmem(options.p, options.len, "leadspc", 7) != NULL;

	ck_assert_uint_lt(g->n, FILTERS_MAX);
	if (beside) {
		f->step = f[-1].step;
		f->first = f[-1].first;
	} else {
		apply_step(g);
		f->step = g->n == 0 ? 0 : f[-1].step + 1;
		f->first = g->n + 1;
	}
	f->fault = NULL;
	f->edits = filter(++g->n);
	edits_negotiated(f->edits, lead, 0x1ff);
}

/* The strings of a packet, parted by bars, each with its NUL. */
static void
make_strings(struct str line, struct buf *payload)
{
	while (true) {
		size_t bar = str_find(line, '|');

		unescape(str_head(line, bar), payload);
		buf_add_char(payload, '\0');
		if (bar >= line.len)
			return;
		line = str_skip(line, bar + 1);
	}
}

static void
read_packet(struct golden *g, char code, struct str rest)
{
	struct one *f = &g->filters[g->n - 1];
	struct buf payload;

	ck_assert_uint_gt(g->n, 0);
	buf_init(&payload, FILE_MAX);
	if (code == 'i' || code == 'm') {
		size_t blank = str_find(rest, ' ');
		uint64_t index;

		ck_assert_int_eq(
		    str_to_u64(str_head(rest, blank), UINT32_MAX, &index), 0);
		packet_add_u32(&payload, (uint32_t)index);
		rest = str_skip(rest, blank + 1);
	}
	if (code == 'b')
		unescape(rest, &payload);
	else
		make_strings(rest, &payload);
	if (f->fault == NULL &&
	    edits_take(f->edits, code, buf_str(&payload), &fault) == EDITS_BAD)
		f->fault = fault;
	buf_clear(&payload);
}

/* The header block ends where the first filter begins. */
static void
read_line(struct golden *g, struct str line)
{
	if (line.len == 0 || line.p[0] == '#')
		return;
	if (line.p[0] == '>') {
		bool ours = line.len > 1 && line.p[1] == '>';

		unescape(str_skip(line, ours ? 3 : 2), &g->block);
		buf_add_str(&g->block, STR("\r\n"));
		if (ours)
			mail.ours = g->block.len;
	} else if (str_eq(line, STR("end")))
		buf_add_str(&g->block, STR("\r\n"));
	else if (str_starts_nocase(line, STR("filter"))) {
		if (g->n == 0)
			headers_init(&headers, buf_str(&g->block), mail.ours);
		read_filter(g, str_skip(line, 6));
	} else
		read_packet(g, line.p[0], str_skip(line, 2));
}

static void
read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "re");
	char chunk[4096];
	size_t n;

	ck_assert_msg(f != NULL, "%s", path);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	ck_assert_int_eq(fclose(f), 0);
}

/* --- what comes of it --- */

static void
show_result(struct golden *g)
{
	struct buf block;

	buf_init(&block, FILE_MAX);
	headers_format(&headers, &block);
	buf_addf(
	    &g->out, "header %s\n", headers.changed ? "changed" : "as it was");
	show(g, "> ", buf_str(&block));
	buf_clear(&block);
	if (sum.body != NULL) {
		buf_addf(&g->out, "body by filter %u\n", sum.body_by);
		show(g, "| ", buf_str(&((struct stub_body *)sum.body)->bytes));
	}
	if (sum.from != NULL)
		buf_addf(&g->out, "from <%s>\n", sum.from);
	for (size_t i = 0; i < sum.nrcpts; i++)
		buf_addf(&g->out, "%s <%.*s> %.*s\n",
		    sum.rcpts[i].add ? "add" : "delete",
		    (int)sum.rcpts[i].addr.len, sum.rcpts[i].addr.p,
		    (int)sum.rcpts[i].args.len, sum.rcpts[i].args.p);
	if (sum.reason != NULL)
		buf_addf(&g->out, "quarantine %s\n", sum.reason);
}

static void
compare(const char *path, struct golden *g)
{
	struct buf want;
	FILE *f;

	buf_init(&want, FILE_MAX);
	if (update) {
		f = fopen(path, "we");
		ck_assert_ptr_nonnull(f);
		ck_assert_uint_eq(
		    fwrite(g->out.p, 1, g->out.len, f), g->out.len);
		ck_assert_int_eq(fclose(f), 0);
	}
	read_file(path, &want);
	if (!str_eq(buf_str(&want), buf_str(&g->out)))
		ck_abort_msg("%s: got\n%.*s", path, (int)g->out.len, g->out.p);
	buf_clear(&want);
}

static void
run(const char *path)
{
	static struct golden g;
	struct buf in;
	struct str left;
	char out[256];

	memset(&g, 0, sizeof(g));
	buf_init(&g.block, FILE_MAX);
	buf_init(&g.out, FILE_MAX);
	buf_init(&in, FILE_MAX);
	memset(&sum, 0, sizeof(sum));
	mail.ours = 0;
	read_file(path, &in);
	for (left = buf_str(&in); left.len > 0;) {
		size_t n = str_find(left, '\n');

		read_line(&g, str_head(left, n));
		left = str_skip(left, n + 1);
	}
	apply_step(&g);
	show_result(&g);
	(void)snprintf(
	    out, sizeof(out), "%.*s.out", (int)strlen(path) - 3, path);
	compare(out, &g);
	end();
	buf_clear(&g.block);
	buf_clear(&g.out);
	buf_clear(&in);
}

START_TEST(test_golden)
{
	glob_t found;

	ck_assert_int_eq(glob("tests/golden/milter/*.in", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		run(found.gl_pathv[i]);
	globfree(&found);
}

END_TEST

int
main(int argc, char **argv)
{
	Suite *s = suite_create("edit_golden");
	TCase *tc = tcase_create("edit_golden");
	SRunner *r;
	int failed;

	update = argc > 1 && strcmp(argv[1], "-u") == 0;
	tcase_add_test(tc, test_golden);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
