/* postern.conf's text into words, each with its line. */
#include "posternd/conf_lex.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/utf8.h"

char *
conf_pool_alloc(struct conf_pool *pool, size_t len)
{
	struct conf_chunk *c = xmalloc(sizeof(*c) + len);

	c->len = len;
	SLIST_INSERT_HEAD(pool, c, next);
	return c->data;
}

void
conf_pool_free(struct conf_pool *pool)
{
	struct conf_chunk *c;

	while ((c = SLIST_FIRST(pool)) != NULL) {
		SLIST_REMOVE_HEAD(pool, next);
		/* There may be passwords' hashes in tables. */
		explicit_bzero(c->data, c->len);
		free(c);
	}
}

void
conf_lex_init(
    struct conf_lexer *lx, struct str in, uint32_t line, struct conf_pool *pool)
{
	lx->in = in;
	lx->line = line;
	lx->pool = pool;
}

static const char *const kind_texts[] = {
	[CONF_WORD] = "a word",
	[CONF_STRING] = "a string",
	[CONF_MACRO] = "a macro",
	[CONF_OPEN] = "`{'",
	[CONF_CLOSE] = "`}'",
	[CONF_COMMA] = "`,'",
	[CONF_EQUALS] = "`='",
	[CONF_NOT] = "`!'",
	[CONF_EOL] = "the end of the line",
	[CONF_END] = "the end of the line",
	[CONF_BAD] = "what cannot be read",
};

const char *
conf_kind_text(enum conf_kind kind)
{
	return kind_texts[kind];
}

static char
peek(const struct conf_lexer *lx, size_t n)
{
	return (char)(n < lx->in.len ? lx->in.p[n] : '\0');
}

static struct conf_token
token(const struct conf_lexer *lx, enum conf_kind kind, struct str text)
{
	return (struct conf_token){ kind, lx->line, text };
}

/* Takes the first n bytes as a token. */
static struct conf_token
take(struct conf_lexer *lx, enum conf_kind kind, size_t n)
{
	struct conf_token t = token(lx, kind, str_head(lx->in, n));

	lx->in = str_skip(lx->in, n);
	if (kind == CONF_EOL)
		lx->line++;
	return t;
}

/* Length of a line's end at byte n: 1, 2 (CRLF), or 0. */
static size_t
eol_len(const struct conf_lexer *lx, size_t n)
{
	if (peek(lx, n) == '\n')
		return 1;
	return peek(lx, n) == '\r' && peek(lx, n + 1) == '\n' ? 2 : 0;
}

static void
skip_blanks(struct conf_lexer *lx)
{
	for (;;) {
		char c = peek(lx, 0);

		if (c == ' ' || c == '\t') {
			lx->in = str_skip(lx->in, 1);
		} else if (c == '\\' && eol_len(lx, 1) > 0) {
			lx->in = str_skip(lx->in, 1 + eol_len(lx, 1));
			lx->line++;
		} else if (c == '#') {
			lx->in = str_skip(lx->in, str_find(lx->in, '\n'));
		} else {
			return;
		}
	}
}

/* Bytes up to the closing quote, which is not counted; SIZE_MAX when the
 * line ends first. */
static size_t
string_len(const struct conf_lexer *lx)
{
	size_t i;

	for (i = 0; i < lx->in.len; i++) {
		char c = lx->in.p[i];

		if (c == '"')
			return i;
		if (c == '\n')
			return SIZE_MAX;
		if (c == '\\') {
			/* A continued line inside a string goes on in it. */
			i += eol_len(lx, i + 1) == 2 ? 2 : 1;
		}
	}
	return SIZE_MAX;
}

/* \" and \\ stand for the byte, \ at the end of a line for nothing; any
 * other backslash is itself. */
static struct str
unescape(struct conf_lexer *lx, struct str raw)
{
	char *out = conf_pool_alloc(lx->pool, raw.len);
	size_t i, n = 0;

	for (i = 0; i < raw.len; i++) {
		char c = raw.p[i];
		char after = (char)(i + 1 < raw.len ? raw.p[i + 1] : '\0');

		if (c == '\\' && (after == '"' || after == '\\')) {
			out[n++] = after;
			i++;
		} else if (c == '\\' && after == '\n') {
			lx->line++;
			i++;
		} else if (c == '\\' && after == '\r') {
			lx->line++;
			i += 2;
		} else {
			out[n++] = c;
		}
	}
	return (struct str){ out, n };
}

static bool
has_control(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') ||
		    s.p[i] == 0x7f)
			return true;
	return false;
}

static struct conf_token
lex_string(struct conf_lexer *lx)
{
	struct conf_token t;
	size_t len;

	lx->in = str_skip(lx->in, 1);
	t = token(lx, CONF_STRING, lx->in);
	len = string_len(lx);
	if (len == SIZE_MAX) {
		lx->in = str_skip(lx->in, str_find(lx->in, '\n'));
		t.kind = CONF_BAD;
		t.text = STR("the string is not closed");
		return t;
	}
	t.text = str_head(lx->in, len);
	lx->in = str_skip(lx->in, len + 1);
	if (str_find(t.text, '\\') < len)
		t.text = unescape(lx, t.text);
	if (has_control(t.text)) {
		t.kind = CONF_BAD;
		t.text = STR("control character in a string");
	}
	return t;
}

/* What may stand in a word without quotes. */
static bool
is_word_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f &&
	       strchr("\"#{},=\\", c) == NULL;
}

static size_t
word_len(struct str s)
{
	size_t n = 0;

	while (n < s.len && is_word_char(s.p[n]))
		n++;
	return n;
}

static struct conf_token
lex_macro(struct conf_lexer *lx)
{
	struct str s = str_skip(lx->in, 1);
	size_t n = 0;

	while (n < s.len && (chr_is_alpha(s.p[n]) || chr_is_digit(s.p[n]) ||
				s.p[n] == '_' || s.p[n] == '-'))
		n++;
	if (n == 0 || n != word_len(s)) {
		take(lx, CONF_BAD, 1 + word_len(s));
		return token(lx, CONF_BAD,
		    STR("`$' must be followed by the name of a macro and "
			"nothing else"));
	}
	lx->in = s;
	return take(lx, CONF_MACRO, n);
}

/* A `\\' behind which nobody sees the blanks: what follows is still meant to
 * belong to the line. */
static struct conf_token
lex_backslash(struct conf_lexer *lx)
{
	struct conf_token t =
	    token(lx, CONF_BAD, STR("`\\' is not at the end of the line"));
	size_t n = 0;

	while (peek(lx, n) == ' ' || peek(lx, n) == '\t')
		n++;
	if (n == 0 || eol_len(lx, n) == 0)
		return t;
	t.text = STR("blanks stand between `\\' and the end of the line");
	take(lx, CONF_EOL, n + eol_len(lx, n));
	return t;
}

/* One bad byte, or one whole UTF-8 character of those words cannot have. */
static struct conf_token
lex_bad(struct conf_lexer *lx)
{
	char c = lx->in.p[0];

	take(lx, CONF_BAD, 1);
	if (c == '\0')
		return token(lx, CONF_BAD, STR("NUL byte"));
	if (c == '\\')
		return lex_backslash(lx);
	if (c == '\r')
		return token(lx, CONF_BAD,
		    STR("CR without LF: lines end with LF or CRLF"));
	return token(lx, CONF_BAD, STR("control character"));
}

/* What word processors and web pages make of blanks and quotes; it looks like
 * them, and no name has one. */
static const struct {
	const char *utf8, *what;
} lookalikes[] = {
	{ "\xc2\xa0", "a no-break space (U+00A0) in the place of a blank" },
	{ "\xe2\x80\x9c", "a typographic quote: text stands in \"...\"" },
	{ "\xe2\x80\x9d", "a typographic quote: text stands in \"...\"" },
	{ "\xe2\x80\x9e", "a typographic quote: text stands in \"...\"" },
};

static const char *
lookalike_in(struct str word)
{
	for (; word.len > 0; word = str_skip(word, 1))
		for (size_t i = 0;
		     i < sizeof(lookalikes) / sizeof(lookalikes[0]); i++)
			if (str_starts_nocase(word, str_of(lookalikes[i].utf8)))
				return lookalikes[i].what;
	return NULL;
}

static struct conf_token
lex_word(struct conf_lexer *lx)
{
	size_t n = word_len(lx->in);
	const char *why;

	if (n == 0)
		return lex_bad(lx);
	why = lookalike_in(str_head(lx->in, n));
	if (why == NULL)
		return take(lx, CONF_WORD, n);
	take(lx, CONF_BAD, n);
	return token(lx, CONF_BAD, str_of(why));
}

struct conf_token
conf_lex_next(struct conf_lexer *lx)
{
	skip_blanks(lx);
	if (lx->in.len == 0)
		return token(lx, CONF_END, str_of(NULL));
	if (eol_len(lx, 0) > 0)
		return take(lx, CONF_EOL, eol_len(lx, 0));
	switch (lx->in.p[0]) {
	case '{':
		return take(lx, CONF_OPEN, 1);
	case '}':
		return take(lx, CONF_CLOSE, 1);
	case ',':
		return take(lx, CONF_COMMA, 1);
	case '=':
		return take(lx, CONF_EQUALS, 1);
	case '!':
		return take(lx, CONF_NOT, 1);
	case '"':
		return lex_string(lx);
	case '$':
		return lex_macro(lx);
	}
	return lex_word(lx);
}
