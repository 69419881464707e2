/* Lines with a sum; see side_text.h. */
#include "queue/side_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/crc32c.h"
#include "lib/base/log.h"
#include "queue/queue.h"

enum { AGAIN_MS = 30000 };

/* --- written --- */

struct saving {
	const struct side_text *text;
	struct timer *again; /* NULL: whoever waits tries again */
	side_file_fn *fn;    /* NULL: nobody waits */
	void *ctx;
};

static void
on_saved(void *ctx, const struct fault *why)
{
	struct saving *s = ctx;

	if (why != NULL)
		log_warn(NULL, "spool", "%s=unsaved error=%s", s->text->name,
		    log_cstr(why->text));
	if (s->again != NULL && why != NULL)
		timer_set(s->again, AGAIN_MS);
	else if (s->again != NULL)
		timer_stop(s->again);
	if (s->fn != NULL)
		s->fn(s->ctx, why);
	free(s);
}

static struct saving *
saving_new(
    const struct side_text *t, struct timer *again, side_file_fn *fn, void *ctx)
{
	struct saving *saving = xmalloc(sizeof(*saving));

	*saving = (struct saving){ t, again, fn, ctx };
	return saving;
}

static void
add_summed(struct buf *out, struct str lines)
{
	while (lines.len > 0) {
		struct str line = str_cut(&lines, '\n');

		buf_addf(out, "%08x ", crc32c(0, line.p, line.len));
		buf_add_str(out, line);
		buf_add_char(out, '\n');
	}
}

static void
write_whole(struct store *s, const struct side_text *t, struct buf *lines,
    struct saving *saving)
{
	struct buf file;

	buf_init(&file, SIDE_TEXT_MAX);
	if (t->each != NULL) {
		buf_addf(&file, "%s\n", t->each);
		add_summed(&file, buf_str(lines));
	} else {
		buf_addf(&file, "%s%08x\n", t->head,
		    crc32c(0, lines->p, lines->len));
		buf_add_str(&file, buf_str(lines));
	}
	buf_clear(lines);
	side_file_write(s, t->name, &file, on_saved, saving);
}

void
side_text_save(struct store *s, const struct side_text *t, struct buf *lines,
    side_file_fn *fn, void *ctx)
{
	write_whole(s, t, lines, saving_new(t, NULL, fn, ctx));
}

void
side_text_add(struct store *s, const struct side_text *t, struct buf *lines,
    side_file_fn *fn, void *ctx)
{
	struct buf bytes;

	buf_init(&bytes, SIDE_TEXT_MAX);
	add_summed(&bytes, buf_str(lines));
	buf_clear(lines);
	side_file_append(
	    s, t->name, &bytes, on_saved, saving_new(t, NULL, fn, ctx));
}

/* --- lists --- */

void
side_list_save(struct side_list *l, side_file_fn *fn, void *ctx)
{
	struct buf lines;

	buf_init(&lines, SIDE_TEXT_MAX);
	l->format(l->q, &lines);
	write_whole(l->q->store, l->text, &lines,
	    saving_new(l->text, l->again, fn, ctx));
}

static void
on_again(void *ctx)
{
	side_list_save(ctx, NULL, NULL);
}

void
side_list_init(struct side_list *l, struct queue *q, const struct side_text *t,
    void (*format)(const struct queue *q, struct buf *lines))
{
	*l =
	    (struct side_list){ q, t, format, timer_new(q->loop, on_again, l) };
}

/* --- read --- */

typedef int line_fn(void *ctx, struct str line);

static bool
has_sum(struct str bytes, struct str said)
{
	char crc[16];

	snprintf(crc, sizeof(crc), "%08x", crc32c(0, bytes.p, bytes.len));
	return str_eq(said, str_of(crc));
}

static int
parse_whole(struct str text, line_fn *fn, void *ctx)
{
	struct str said = str_cut(&text, '\n');

	if (!has_sum(text, said))
		return -1;
	while (text.len > 0)
		if (fn(ctx, str_cut(&text, '\n')) == -1)
			return -1;
	return 0;
}

/* What a crash or a full disk made a piece of is left out: the others are
 * whole. */
static int
parse_each(const char *name, struct str text, line_fn *fn, void *ctx)
{
	unsigned int bad = 0;

	while (text.len > 0) {
		struct str line = str_cut(&text, '\n');
		struct str said = str_cut(&line, ' ');

		if (!has_sum(line, said))
			bad++;
		else if (fn(ctx, line) == -1)
			return -1;
	}
	if (bad > 0)
		log_warn(NULL, "spool", "%s=damaged lines=%u why=%s", name, bad,
		    log_cstr("they were left out"));
	return 0;
}

static int
parse(const struct side_text *t, struct str text, line_fn *fn, void *ctx)
{
	struct str head = str_of(t->head), line;

	if (str_eq(str_head(text, head.len), head))
		return parse_whole(str_skip(text, head.len), fn, ctx);
	line = str_cut(&text, '\n');
	return t->each != NULL && str_eq(line, str_of(t->each)) ?
		   parse_each(t->name, text, fn, ctx) :
		   -1;
}

/* The next one that is written would take its place. */
static void
set_aside(struct store *s, const struct side_text *t, const char *error)
{
	log_warn(NULL, "spool", "%s=damaged error=%s why=%s", t->name,
	    log_cstr(error), log_cstr("the file was set aside"));
	side_file_set_aside(s, t->name);
}

int
side_text_load(struct store *s, const struct side_text *t,
    int (*fn)(void *ctx, struct str line), void *ctx)
{
	struct buf file;
	int rc;

	buf_init(&file, SIDE_TEXT_MAX);
	rc = side_file_read(s, t->name, &file);
	if (rc == -1 && errno == ENOENT) {
		rc = 0;
	} else if (rc == -1) {
		set_aside(s, t, strerror(errno));
	} else {
		rc = parse(t, buf_str(&file), fn, ctx);
		if (rc == -1)
			set_aside(s, t, "its sum or a line is wrong");
	}
	buf_clear(&file);
	return rc;
}

bool
side_text_is_line(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}
