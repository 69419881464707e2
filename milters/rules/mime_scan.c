/* Parts of a mail, line by line. */
#include "milters/rules/mime_scan.h"

#include <stdlib.h>
#include <string.h>

#include "milters/rules/mime_word.h"

enum { FIELD_MAX = 65536, LINE_MAX_KEPT = 8192 };

void
mime_scan_init(struct mime_scan *m)
{
	memset(m, 0, sizeof(*m));
	buf_init(&m->field, FIELD_MAX);
	buf_init(&m->line, LINE_MAX_KEPT);
}

static void
bounds_cut(struct mime_scan *m, size_t n)
{
	while (m->nbounds > n)
		free(m->bounds[--m->nbounds].text);
}

void
mime_scan_clear(struct mime_scan *m)
{
	mime_names_clear(&m->files);
	mime_names_clear(&m->types);
	mime_names_clear(&m->bound);
	bounds_cut(m, 0);
	buf_clear(&m->field);
	buf_clear(&m->line);
}

/* --- a part's header --- */

static void
take_type(struct mime_scan *m, struct str value)
{
	struct str head;

	/* Of two of them nobody knows which is meant. */
	if (m->typed)
		m->ambiguous = true;
	m->typed = true;
	mime_params(value, "name", &m->files, NULL);
	mime_params(value, "boundary", &m->bound, &head);
	mime_names_add(&m->types, head);
	if (str_starts_nocase(head, STR("message/")) &&
	    !str_starts_nocase(head, STR("message/delivery-status")) &&
	    !str_starts_nocase(head, STR("message/disposition")))
		m->nested = true;
	if (str_starts_nocase(head, STR("multipart/")) && m->bound.n != 1)
		m->ambiguous = true;
	if (!str_starts_nocase(head, STR("multipart/")))
		mime_names_clear(&m->bound);
}

static void
take_disposition(struct mime_scan *m, struct str value)
{
	mime_params(value, "filename", &m->files, NULL);
}

static void
take_encoding(struct mime_scan *m, struct str value)
{
	value = str_trim(value);
	m->encoded = !str_eq_nocase(value, STR("7bit")) &&
		     !str_eq_nocase(value, STR("8bit")) &&
		     !str_eq_nocase(value, STR("binary"));
}

void
mime_scan_field(struct mime_scan *m, struct str name, struct str value)
{
	static const struct {
		const char *name;
		void (*take)(struct mime_scan *m, struct str value);
	} rows[] = {
		{ "Content-Type", take_type },
		{ "Content-Disposition", take_disposition },
		{ "Content-Transfer-Encoding", take_encoding },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (str_eq_nocase(name, str_of(rows[i].name)))
			rows[i].take(m, value);
}

void
mime_scan_header_end(struct mime_scan *m)
{
	bool structured = m->bound.n > 0 || m->nested;

	/* Parts inside of an encoding: not allowed, and shown by some. */
	if (structured && m->encoded)
		m->ambiguous = true;
	if (!m->typed)
		mime_names_add(&m->types, STR("text/plain"));
	if (m->bound.n > 0 && m->nbounds == MIME_DEPTH_MAX)
		m->ambiguous = true;
	else if (m->bound.n > 0) {
		m->bounds[m->nbounds].text = m->bound.v[0];
		m->bounds[m->nbounds++].len = strlen(m->bound.v[0]);
		m->bound.v[0] = NULL;
	}
	mime_names_clear(&m->bound);
	m->in_header = m->nested;
	m->nested = m->encoded = m->typed = false;
	if (++m->parts == MIME_PARTS_MAX)
		m->ambiguous = true;
	m->ambiguous = m->ambiguous || m->files.ambiguous;
}

static void
field_end(struct mime_scan *m)
{
	struct str field = buf_str(&m->field);
	size_t colon = str_find(field, ':');

	if (m->field.failed)
		m->ambiguous = true;
	/* A blank before the colon is not allowed, and read by some. */
	if (colon < field.len && m->parts < MIME_PARTS_MAX)
		mime_scan_field(m, str_trim(str_head(field, colon)),
		    str_skip(field, colon + 1));
	buf_reset(&m->field);
}

static void
header_line(struct mime_scan *m, struct str line)
{
	bool fold = line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t');

	if (!fold)
		field_end(m);
	if (line.len > 0)
		buf_add_str(&m->field, line);
	else
		mime_scan_header_end(m);
}

/* --- lines --- */

enum match { NO_MATCH, MATCH_BEGIN, MATCH_END, MATCH_DOUBTFUL };

/* line: behind its two hyphens, blanks at its end taken off. */
static enum match
match_bound(struct str line, const char *text, size_t len)
{
	if (line.len < len || memcmp(line.p, text, len) != 0)
		return NO_MATCH;
	if (line.len == len)
		return MATCH_BEGIN;
	return str_eq(str_skip(line, len), STR("--")) ? MATCH_END :
							MATCH_DOUBTFUL;
}

/* Is it a boundary of one of the multiparts we are in? The innermost that
 * matches wholly; one that begins with a boundary is taken for it by some. */
static enum match
find_bound(const struct mime_scan *m, struct str line, size_t *level)
{
	enum match found = NO_MATCH;

	if (line.len < 2 || line.p[0] != '-' || line.p[1] != '-')
		return NO_MATCH;
	line = str_skip(line, 2);
	while (line.len > 0 &&
	       (line.p[line.len - 1] == ' ' || line.p[line.len - 1] == '\t'))
		line.len--;
	for (size_t i = m->nbounds; i-- > 0;) {
		enum match now =
		    match_bound(line, m->bounds[i].text, m->bounds[i].len);

		if (now == NO_MATCH ||
		    (now == MATCH_DOUBTFUL && found != NO_MATCH))
			continue;
		*level = i;
		found = now;
		if (now != MATCH_DOUBTFUL)
			break;
	}
	return found;
}

static void
take_line(struct mime_scan *m, struct str line)
{
	size_t level = 0;
	enum match match = find_bound(m, line, &level);

	if (match == NO_MATCH) {
		if (m->in_header)
			header_line(m, line);
		return;
	}
	if (m->in_header) {
		field_end(m);
		mime_scan_header_end(m);
	}
	if (match == MATCH_DOUBTFUL)
		m->ambiguous = true;
	bounds_cut(m, match == MATCH_END ? level : level + 1);
	m->in_header = match != MATCH_END;
}

static void
line_end(struct mime_scan *m)
{
	struct str line = buf_str(&m->line);

	/* Of a long line in a body the beginning is enough. */
	if (m->line.failed && m->in_header)
		m->ambiguous = true;
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	take_line(m, line);
	buf_reset(&m->line);
}

/* As much of it as is kept. */
static void
line_add(struct mime_scan *m, struct str bytes)
{
	size_t room = LINE_MAX_KEPT - m->line.len;

	buf_add_str(&m->line, str_head(bytes, room));
	if (bytes.len > room)
		m->line.failed = true;
}

void
mime_scan_body(struct mime_scan *m, struct str bytes)
{
	/* Nothing to find in a mail without parts. */
	while (bytes.len > 0 && (m->nbounds > 0 || m->in_header)) {
		size_t n = str_find(bytes, '\n');

		line_add(m, str_head(bytes, n));
		if (n == bytes.len)
			return;
		line_end(m);
		bytes = str_skip(bytes, n + 1);
	}
}

void
mime_scan_end(struct mime_scan *m)
{
	if (m->line.len > 0)
		line_end(m);
	if (m->in_header) {
		field_end(m);
		mime_scan_header_end(m);
	}
}
