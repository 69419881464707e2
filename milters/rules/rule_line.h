/* A line of the rule file while it is parsed: one token ahead. */
#ifndef POSTERN_MILTERS_RULES_RULE_LINE_H
#define POSTERN_MILTERS_RULES_RULE_LINE_H

#include "milters/rules/rule_pattern.h"
#include "milters/rules/rule_token.h"

struct rule_line {
	struct str left;
	struct token token; /* the present one */
	char error[200];    /* empty: nothing is wrong yet */
};

void rule_line_init(struct rule_line *l, struct str line);
void rule_line_clear(struct rule_line *l);
void rule_line_next(struct rule_line *l);
/* Notes what is wrong (the first counts). Returns -1. */
int rule_line_fault(struct rule_line *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A word or string, owned by the caller; what: its name in the fault. NULL
 * when it is none. */
char *rule_line_text(struct rule_line *l, const char *what);
/* One item or a list of them in braces; take gets each. 0/-1 */
int rule_line_list(struct rule_line *l,
    int (*take)(struct rule_line *l, void *out), void *out);
/* The same for patterns. */
int rule_line_patterns(struct rule_line *l, struct patterns *out);
/* The token can be a pattern. */
bool rule_line_has_pattern(const struct rule_line *l);

#endif
