#include "milters/rules/rule_token.h"

#include <string.h>

enum { TOKEN_MAX = 4096 };

void
token_init(struct token *t)
{
	*t = (struct token){ .kind = TOKEN_END };
	buf_init(&t->text, TOKEN_MAX);
}

void
token_clear(struct token *t)
{
	buf_clear(&t->text);
}

bool
token_is(const struct token *t, const char *word)
{
	return t->kind == TOKEN_WORD && strcmp(t->text.p, word) == 0;
}

/* Up to the closing quote or slash. In a regex only \/ loses its backslash. */
static enum token_kind
quoted(struct token *t, struct str *line, enum token_kind kind)
{
	char end = line->p[0];

	*line = str_skip(*line, 1);
	while (line->len > 0 && line->p[0] != end) {
		if (line->p[0] == '\\' && line->len > 1) {
			bool plain =
			    line->p[1] == end ||
			    (kind == TOKEN_STRING && line->p[1] == '\\');

			if (!plain)
				buf_add_char(&t->text, '\\');
			*line = str_skip(*line, 1);
		}
		buf_add_char(&t->text, line->p[0]);
		*line = str_skip(*line, 1);
	}
	if (line->len == 0)
		return TOKEN_BAD;
	*line = str_skip(*line, 1);
	if (kind == TOKEN_REGEX && line->len > 0 && line->p[0] == 'i') {
		t->fold = true;
		*line = str_skip(*line, 1);
	}
	return kind;
}

static enum token_kind
word(struct token *t, struct str *line)
{
	size_t n = 0;

	while (n < line->len && strchr(" \t\r\"{},", line->p[n]) == NULL)
		n++;
	buf_add_str(&t->text, str_head(*line, n));
	*line = str_skip(*line, n);
	return TOKEN_WORD;
}

static enum token_kind
kind_of(struct token *t, struct str *line)
{
	static const struct {
		char c;
		enum token_kind kind;
	} signs[] = {
		{ '{', TOKEN_OPEN },
		{ '}', TOKEN_CLOSE },
		{ ',', TOKEN_COMMA },
		{ '!', TOKEN_NOT },
	};

	if (line->len == 0 || line->p[0] == '#')
		return TOKEN_END;
	if (line->p[0] == '"')
		return quoted(t, line, TOKEN_STRING);
	if (line->p[0] == '/')
		return quoted(t, line, TOKEN_REGEX);
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (line->p[0] != signs[i].c)
			continue;
		*line = str_skip(*line, 1);
		return signs[i].kind;
	}
	return word(t, line);
}

void
token_next(struct token *t, struct str *line)
{
	buf_reset(&t->text);
	t->fold = false;
	while (line->len > 0 && strchr(" \t\r", line->p[0]) != NULL)
		*line = str_skip(*line, 1);
	t->kind = kind_of(t, line);
	buf_add_char(&t->text, '\0');
	if (t->text.failed)
		t->kind = TOKEN_BAD;
}
