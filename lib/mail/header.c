/* One judge of a line; the scanner and the iterator both ask it. */
#include "lib/mail/header.h"

#include <string.h>

enum line_kind {
	LINE_FIELD, /* begins a field */
	LINE_FOLD,  /* begins with a blank */
	LINE_EMPTY,
	LINE_OTHER /* not of a header block */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* line without its CRLF; *name gets the length of a field's name. obsolete:
 * blanks may stand before the colon. */
static enum line_kind
judge(struct str line, bool obsolete, size_t *name)
{
	size_t n = 0;

	if (line.len == 0)
		return LINE_EMPTY;
	if (is_blank(line.p[0]))
		return LINE_FOLD;
	while (n < line.len && line.p[n] > ' ' && line.p[n] < 0x7f &&
	       line.p[n] != ':')
		n++;
	*name = n;
	while (obsolete && n > 0 && n < line.len && is_blank(line.p[n]))
		n++;
	return n > 0 && n < line.len && line.p[n] == ':' ? LINE_FIELD :
							   LINE_OTHER;
}

/* The line at pos without its CRLF, and *next behind it. False when it has no
 * end yet. */
static bool
line_at(struct str in, size_t pos, size_t seen, bool whole, struct str *line,
    size_t *next)
{
	const char *lf =
	    seen < in.len ? memchr(in.p + seen, '\n', in.len - seen) : NULL;
	size_t end;

	if (lf == NULL) {
		*line = str_skip(in, pos);
		*next = in.len;
		return whole && pos < in.len;
	}
	*next = (size_t)(lf - in.p) + 1;
	end = *next - 1;
	if (end > pos && in.p[end - 1] == '\r')
		end--;
	*line = str_skip(str_head(in, end), pos);
	return true;
}

void
header_scan_init(struct header_scan *h)
{
	memset(h, 0, sizeof(*h));
}

/* The field that began at h->field ends before `end`. */
static void
field_ended(struct header_scan *h, size_t end)
{
	if (h->nfields > 0 && end - h->field > h->longest)
		h->longest = end - h->field;
}

static void
field_begins(struct header_scan *h, struct str name)
{
	field_ended(h, h->size);
	h->field = h->size;
	h->nfields++;
	if (str_eq_nocase(name, STR("Received")))
		h->nreceived++;
}

bool
header_scan_feed(struct header_scan *h, struct str content, bool whole)
{
	struct str line;
	size_t next, name = 0;

	while (!h->done &&
	       line_at(content, h->size, h->seen, whole, &line, &next)) {
		enum line_kind kind = judge(line, h->obsolete, &name);

		if (kind == LINE_FOLD && h->nfields == 0)
			kind = LINE_OTHER;
		switch (kind) {
		case LINE_FIELD:
			field_begins(h, str_head(line, name));
			h->size = next;
			break;
		case LINE_FOLD:
			h->size = next;
			break;
		case LINE_EMPTY:
			field_ended(h, h->size);
			h->size = next;
			h->done = true;
			break;
		case LINE_OTHER:
			h->done = true;
			field_ended(h, h->size);
			break;
		}
		h->seen = h->size;
	}
	if (!h->done) {
		/* A fold that has not ended yet is part of its field. */
		bool fold =
		    h->size < content.len && is_blank(content.p[h->size]);

		h->seen = content.len;
		field_ended(h, fold ? content.len : h->size);
		h->done = whole;
	}
	return h->done;
}

bool
header_next(struct str block, size_t *pos, struct header_field *out)
{
	struct str line;
	size_t next, after, name = 0;

	if (*pos >= block.len ||
	    !line_at(block, *pos, *pos, true, &line, &next) ||
	    judge(line, false, &name) != LINE_FIELD)
		return false;
	out->name = str_head(line, name);
	/* Its folded lines. */
	for (after = next; after < block.len; next = after) {
		struct str fold;
		size_t unused;

		if (!line_at(block, next, next, true, &fold, &after) ||
		    judge(fold, false, &unused) != LINE_FOLD)
			break;
		line = (struct str){ line.p,
			(size_t)(fold.p + fold.len - line.p) };
	}
	out->raw = (struct str){ line.p, next - *pos };
	out->value = str_skip(line, name + 1);
	*pos = next;
	return true;
}
