/* The parameters of a field, and what they may mean. */
#include "milters/rules/mime_name.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "milters/rules/mime_word.h"

enum { NAMES_MAX = 1000, SEGMENTS_MAX = 64, VALUE_MAX = 65536 };

/* The pieces of a parameter that comes in pieces. */
struct segments {
	struct buf text[SEGMENTS_MAX];
	bool given[SEGMENTS_MAX];
	bool encoded[SEGMENTS_MAX];
	bool any;
};

struct param {
	struct str name; /* "filename*0*" */
	struct buf value;
	bool open; /* its quote has no end */
};

void
mime_names_clear(struct mime_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
	*names = (struct mime_names){ 0 };
}

void
mime_names_add(struct mime_names *names, struct str name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.p[i] < ' ')
			names->ambiguous = true;
	if (name.len == 0 || memchr(name.p, '\0', name.len) != NULL)
		return;
	for (size_t i = 0; i < names->n; i++)
		if (str_eq(str_of(names->v[i]), name))
			return;
	if (names->n == NAMES_MAX) {
		names->ambiguous = true;
		return;
	}
	names->v = xreallocarray(names->v, names->n + 1, sizeof(char *));
	names->v[names->n++] = str_dup(name);
}

/* --- the parameters --- */

/* Comments away, outside of quotes. */
static void
strip_comments(struct str in, struct buf *out)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < in.len; i++) {
		char c = in.p[i];
		bool escaped = c == '\\' && i + 1 < in.len;

		if (c == '"' && depth == 0)
			quoted = !quoted;
		if (c == '(' && !quoted)
			depth++;
		if (depth == 0) {
			buf_add_char(out, c);
			if (escaped)
				buf_add_char(out, in.p[i + 1]);
		}
		if (c == ')' && !quoted && depth > 0)
			depth--;
		i += escaped;
	}
}

/* A value in quotes; *in moves behind it. */
static void
take_quoted(struct str *in, struct param *out)
{
	*in = str_skip(*in, 1);
	while (in->len > 0 && in->p[0] != '"') {
		if (in->p[0] == '\\' && in->len > 1)
			*in = str_skip(*in, 1);
		buf_add_char(&out->value, in->p[0]);
		*in = str_skip(*in, 1);
	}
	out->open = in->len == 0;
	*in = str_skip(*in, 1);
}

/* The next name=value; *in moves behind its semicolon. */
static void
take_param(struct str *in, struct param *out)
{
	size_t n = 0;
	struct str rest;

	buf_reset(&out->value);
	out->open = false;
	while (n < in->len && in->p[n] != '=' && in->p[n] != ';')
		n++;
	out->name = str_trim(str_head(*in, n));
	if (n >= in->len || in->p[n] == ';') {
		*in = str_skip(*in, n + 1);
		return;
	}
	rest = str_skip(*in, n + 1);
	while (rest.len > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t'))
		rest = str_skip(rest, 1);
	if (rest.len > 0 && rest.p[0] == '"')
		take_quoted(&rest, out);
	/* Without quotes, or what follows them: many take it as it is. */
	n = str_find(rest, ';');
	buf_add_str(&out->value, str_trim(str_head(rest, n)));
	*in = str_skip(rest, n + 1);
}

/* --- what a value may be --- */

static void
add_plain(struct mime_names *out, struct str value)
{
	struct buf decoded;

	mime_names_add(out, value);
	buf_init(&decoded, VALUE_MAX);
	if (!mime_decode_words(value, &decoded))
		out->ambiguous = true;
	mime_names_add(out, buf_str(&decoded));
	buf_clear(&decoded);
}

/* charset'language'text, the text with %XX. */
static void
add_extended(struct mime_names *out, struct str value, bool encoded)
{
	size_t set = str_find(value, '\'');
	size_t lang = str_find(str_skip(value, set + 1), '\'');
	struct buf decoded;

	mime_names_add(out, value);
	if (!encoded)
		return;
	if (set + 1 + lang >= value.len ||
	    !mime_is_ascii_set(str_head(value, set)))
		out->ambiguous = true;
	else
		value = str_skip(value, set + lang + 2);
	buf_init(&decoded, VALUE_MAX);
	if (!mime_decode_hex(value, '%', &decoded))
		out->ambiguous = true;
	mime_names_add(out, buf_str(&decoded));
	buf_clear(&decoded);
}

/* name*N or name*N*; false: it is neither. */
static bool
add_segment(
    struct mime_names *out, struct segments *s, struct str index, struct str v)
{
	bool encoded = index.len > 0 && index.p[index.len - 1] == '*';
	uint64_t i;

	if (encoded)
		index.len--;
	if (str_to_u64(index, SEGMENTS_MAX - 1, &i) == -1)
		return false;
	s->any = true;
	if (s->given[i])
		out->ambiguous = true;
	s->given[i] = true;
	s->encoded[i] = encoded;
	buf_reset(&s->text[i]);
	buf_add_str(&s->text[i], v);
	return true;
}

/* One of that parameter's. */
static void
add_param(struct mime_names *out, struct segments *s, const char *param,
    const struct param *p)
{
	size_t len = strlen(param);
	struct str value = buf_str(&p->value), index;

	if (!str_starts_nocase(p->name, str_of(param)))
		return;
	if (p->open)
		out->ambiguous = true;
	if (p->name.len == len) {
		add_plain(out, value);
		return;
	}
	if (p->name.p[len] != '*')
		return;
	index = str_skip(p->name, len + 1);
	if (index.len == 0)
		add_extended(out, value, true);
	else if (!add_segment(out, s, index, value)) {
		out->ambiguous = true;
		add_plain(out, value);
	}
}

/* The pieces in their order; only those marked are encoded. */
static void
join_segments(struct mime_names *out, struct segments *s)
{
	struct buf raw, plain;
	bool gap = false, set = s->encoded[0];

	buf_init(&raw, VALUE_MAX);
	buf_init(&plain, VALUE_MAX);
	for (int i = 0; i < SEGMENTS_MAX; i++) {
		struct str text = buf_str(&s->text[i]);

		if (!s->given[i]) {
			gap = true;
			continue;
		}
		if (gap)
			out->ambiguous = true;
		buf_add_str(&raw, text);
		if (i == 0 && set) {
			size_t a = str_find(text, '\'');
			size_t b = str_find(str_skip(text, a + 1), '\'');

			if (!mime_is_ascii_set(str_head(text, a)) ||
			    a + 1 + b >= text.len)
				out->ambiguous = true;
			else
				text = str_skip(text, a + b + 2);
		}
		if (!s->encoded[i])
			buf_add_str(&plain, text);
		else if (!mime_decode_hex(text, '%', &plain))
			out->ambiguous = true;
	}
	add_plain(out, buf_str(&raw));
	add_plain(out, buf_str(&plain));
	buf_clear(&raw);
	buf_clear(&plain);
}

void
mime_params(struct str value, const char *param, struct mime_names *out,
    struct str *head)
{
	struct segments *s = xcalloc(1, sizeof(*s));
	struct param p = { 0 };
	struct buf clean;
	struct str left;
	size_t n;

	for (int i = 0; i < SEGMENTS_MAX; i++)
		buf_init(&s->text[i], VALUE_MAX);
	buf_init(&p.value, VALUE_MAX);
	buf_init(&clean, VALUE_MAX);
	strip_comments(value, &clean);
	if (clean.failed)
		out->ambiguous = true;
	left = buf_str(&clean);
	n = str_find(left, ';');
	if (head != NULL)
		*head = str_trim(str_head(value, str_find(value, ';')));
	for (left = str_skip(left, n + 1); left.len > 0;) {
		take_param(&left, &p);
		add_param(out, s, param, &p);
	}
	if (s->any)
		join_segments(out, s);
	for (int i = 0; i < SEGMENTS_MAX; i++)
		buf_clear(&s->text[i]);
	buf_clear(&p.value);
	buf_clear(&clean);
	free(s);
}
