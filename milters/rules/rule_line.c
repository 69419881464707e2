#include "milters/rules/rule_line.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/base/alloc.h"

void
rule_line_init(struct rule_line *l, struct str line)
{
	l->left = line;
	l->error[0] = '\0';
	token_init(&l->token);
	rule_line_next(l);
}

void
rule_line_clear(struct rule_line *l)
{
	token_clear(&l->token);
}

void
rule_line_next(struct rule_line *l)
{
	token_next(&l->token, &l->left);
	if (l->token.kind == TOKEN_BAD)
		(void)rule_line_fault(l, "text without its end");
}

int
rule_line_fault(struct rule_line *l, const char *fmt, ...)
{
	va_list ap;

	if (l->error[0] != '\0')
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(l->error, sizeof(l->error), fmt, ap);
	va_end(ap);
	return -1;
}

char *
rule_line_text(struct rule_line *l, const char *what)
{
	char *text;

	if (l->token.kind != TOKEN_WORD && l->token.kind != TOKEN_STRING) {
		(void)rule_line_fault(l, "%s is missing", what);
		return NULL;
	}
	text = xstrdup(l->token.text.p);
	rule_line_next(l);
	return text;
}

int
rule_line_list(
    struct rule_line *l, int (*take)(struct rule_line *l, void *out), void *out)
{
	if (l->token.kind != TOKEN_OPEN)
		return take(l, out);
	do {
		rule_line_next(l);
		if (take(l, out) == -1)
			return -1;
	} while (l->token.kind == TOKEN_COMMA);
	if (l->token.kind != TOKEN_CLOSE)
		return rule_line_fault(l, "a list needs , or } here");
	rule_line_next(l);
	return 0;
}

bool
rule_line_has_pattern(const struct rule_line *l)
{
	return l->token.kind == TOKEN_STRING || l->token.kind == TOKEN_REGEX ||
	       l->token.kind == TOKEN_OPEN;
}

static int
take_pattern(struct rule_line *l, void *out)
{
	struct patterns *list = out;
	char why[100];

	if (l->token.kind == TOKEN_REGEX) {
		if (patterns_add_regex(list, l->token.text.p, l->token.fold,
			why, sizeof(why)) == -1)
			return rule_line_fault(l, "bad expression: %s", why);
	} else if (l->token.kind == TOKEN_STRING)
		patterns_add_glob(list, l->token.text.p);
	else
		return rule_line_fault(
		    l, "a pattern in quotes or slashes is missing");
	rule_line_next(l);
	return 0;
}

int
rule_line_patterns(struct rule_line *l, struct patterns *out)
{
	return rule_line_list(l, take_pattern, out);
}
