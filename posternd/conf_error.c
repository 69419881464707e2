/* Messages in the order of the configuration, and "did you mean". */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "posternd/conf_parse.h"

/* Behind those of the same position, so that the first found stays first. */
static void
insert(struct conf_message **list, size_t *n, uint64_t order, char *text)
{
	size_t i = *n;

	*list = xreallocarray(*list, *n + 1, sizeof(**list));
	while (i > 0 && (*list)[i - 1].order > order) {
		(*list)[i] = (*list)[i - 1];
		i--;
	}
	(*list)[i] = (struct conf_message){ order, text };
	(*n)++;
}

static char *format(const char *file, uint32_t line, const char *prefix,
    const char *fmt, va_list ap) __attribute__((format(printf, 4, 0)));

static char *
format(const char *file, uint32_t line, const char *prefix, const char *fmt,
    va_list ap)
{
	char what[1024], *text;

	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is */
	vsnprintf(what, sizeof(what), fmt, ap);
	if (asprintf(&text, "%s:%u: %s%s", file, line, prefix, what) == -1)
		abort();
	return text;
}

uint64_t
conf_order(const struct conf_statement *st, uint32_t line)
{
	return (uint64_t)(st == NULL ? 0 : st->order) << 32 | line;
}

static void
add_error(struct conf_errors *e, uint64_t order, char *text)
{
	if (e->nerrors < CONF_ERRORS_MAX) {
		insert(&e->errors, &e->nerrors, order, text);
		return;
	}
	free(text);
	if (e->nerrors == CONF_ERRORS_MAX)
		insert(&e->errors, &e->nerrors, UINT64_MAX,
		    xstrdup("there are more errors"));
}

int
conf_error_at(struct conf_parser *p, const char *file, uint32_t line,
    uint64_t order, const char *fmt, ...)
{
	va_list ap;

	if (p->quiet)
		return -1;
	va_start(ap, fmt);
	add_error(p->errors, order, format(file, line, "", fmt, ap));
	va_end(ap);
	return -1;
}

int
conf_error(struct conf_parser *p, const char *fmt, ...)
{
	uint32_t line = conf_peek(p)->line;
	va_list ap;

	if (p->quiet)
		return -1;
	va_start(ap, fmt);
	add_error(p->errors, conf_order(p->st, line),
	    format(p->st->source->name, line, "", fmt, ap));
	va_end(ap);
	return -1;
}

int
conf_warn_at(struct conf_parser *p, const char *file, uint32_t line,
    uint64_t order, const char *fmt, ...)
{
	struct conf_errors *e = p->errors;
	va_list ap;

	if (p->quiet || e->nwarnings == CONF_ERRORS_MAX)
		return -1;
	va_start(ap, fmt);
	insert(&e->warnings, &e->nwarnings, order,
	    format(file, line, "warning: ", fmt, ap));
	va_end(ap);
	return -1;
}

static char *format_plain(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0)));

static char *
format_plain(const char *fmt, va_list ap)
{
	char *text;

	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is */
	if (vasprintf(&text, fmt, ap) == -1)
		abort();
	return text;
}

void
conf_add_error(struct conf_errors *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_error(e, UINT64_MAX, format_plain(fmt, ap));
	va_end(ap);
}

void
conf_add_warning(struct conf_errors *e, const char *fmt, ...)
{
	va_list ap;

	if (e->nwarnings == CONF_ERRORS_MAX)
		return;
	va_start(ap, fmt);
	insert(&e->warnings, &e->nwarnings, UINT64_MAX, format_plain(fmt, ap));
	va_end(ap);
}

static void
clear(struct conf_message **list, size_t *n)
{
	size_t i;

	for (i = 0; i < *n; i++)
		free((*list)[i].text);
	free(*list);
	*list = NULL;
	*n = 0;
}

void
conf_errors_clear(struct conf_errors *e)
{
	clear(&e->errors, &e->nerrors);
	clear(&e->warnings, &e->nwarnings);
}

/* --- the nearest word --- */

enum {
	NEAR_MAX = 40,
	CHOICES_MAX = 8 /* beyond, the man page is a better list */
};

static unsigned int
min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;

	return m < c ? m : c;
}

/* Insertions, deletions, changes and swaps of neighbours between the two. */
static unsigned int
distance(struct str a, struct str b)
{
	unsigned int d[NEAR_MAX + 1][NEAR_MAX + 1];
	unsigned int i, j;

	if (a.len > NEAR_MAX || b.len > NEAR_MAX)
		return UINT_MAX;
	for (i = 0; i <= a.len; i++)
		d[i][0] = i;
	for (j = 0; j <= b.len; j++)
		d[0][j] = j;
	for (i = 1; i <= a.len; i++)
		for (j = 1; j <= b.len; j++) {
			char x = chr_lower(a.p[i - 1]), y = b.p[j - 1];

			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1,
			    d[i - 1][j - 1] + (x != y));
			if (i > 1 && j > 1 && x == b.p[j - 2] &&
			    chr_lower(a.p[i - 2]) == y &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	return d[a.len][b.len];
}

/* Half a word counts as one letter that is wrong. */
static unsigned int
how_far(struct str word, const char *name)
{
	struct str s = str_of(name);

	if (word.len >= 3 && str_starts_nocase(s, word))
		return 1;
	return distance(word, s);
}

/* A third of the letters may differ. */
static unsigned int
near_enough(struct str word)
{
	return word.len < 3 ? 1 : (unsigned int)(word.len + 2) / 3;
}

static const char *
nearest_text(const char *best)
{
	static char text[128];

	text[0] = '\0';
	if (best != NULL)
		snprintf(text, sizeof(text), " (did you mean `%s'?)", best);
	return text;
}

/* All that could stand there, when they are few. */
static const char *
choices_text(const struct conf_keyword *table)
{
	static char text[512];
	struct buf b;
	size_t n = 0;

	buf_init(&b, sizeof(text) - 1);
	for (; table->name != NULL; table++)
		if (table->parse != NULL)
			buf_addf(&b, "%s`%s'", n++ == 0 ? " (known: " : ", ",
			    table->name);
	buf_add_char(&b, ')');
	text[0] = '\0';
	if (n > 0 && n <= CHOICES_MAX && !b.failed)
		snprintf(text, sizeof(text), "%.*s", (int)b.len, b.p);
	buf_clear(&b);
	return text;
}

const char *
conf_nearest(const struct conf_keyword *table, struct str word)
{
	unsigned int best = near_enough(word) + 1, d;
	const struct conf_keyword *k, *nearest = NULL;

	for (k = table; k->name != NULL; k++) {
		d = how_far(word, k->name);
		if (d < best) {
			best = d;
			nearest = k;
		}
	}
	return nearest == NULL ? choices_text(table) :
				 nearest_text(nearest->name);
}

const char *
conf_nearest_name(struct str word, const char *const *names, size_t n)
{
	unsigned int best = near_enough(word) + 1, d;
	const char *name = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		d = how_far(word, names[i]);
		if (d < best) {
			best = d;
			name = names[i];
		}
	}
	return nearest_text(name);
}
