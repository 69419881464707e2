/* Words of a line of the rule file. */
#ifndef POSTERN_MILTERS_RULES_RULE_TOKEN_H
#define POSTERN_MILTERS_RULES_RULE_TOKEN_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum token_kind {
	TOKEN_END,    /* of the line; a comment is one */
	TOKEN_WORD,   /* anything without blanks */
	TOKEN_STRING, /* "text", \" and \\ in it */
	TOKEN_REGEX,  /* /expression/ or /expression/i */
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_COMMA,
	TOKEN_NOT,
	TOKEN_BAD /* it has no end */
};

struct token {
	enum token_kind kind;
	struct buf text; /* with a NUL behind it */
	bool fold;       /* of a regex: case does not matter */
};

void token_init(struct token *t);
void token_clear(struct token *t);
/* Takes the next off the front of *line. */
void token_next(struct token *t, struct str *line);
bool token_is(const struct token *t, const char *word);

#endif
