/* Patterns: globs (* and ?, case does not matter) and POSIX extended regular
 * expressions. */
#ifndef POSTERN_MILTERS_RULES_RULE_PATTERN_H
#define POSTERN_MILTERS_RULES_RULE_PATTERN_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

struct pattern {
	char *glob; /* owned; NULL: a regex */
	regex_t regex;
};

struct patterns {
	struct pattern *p; /* owned */
	size_t n;
};

void patterns_clear(struct patterns *list);
void patterns_add_glob(struct patterns *list, const char *glob);
/* 0, or -1 with what is wrong in error. */
int patterns_add_regex(struct patterns *list, const char *text, bool fold,
    char *error, size_t size);
/* One of them matches. */
bool patterns_match(const struct patterns *list, const char *text);
bool glob_match(const char *glob, const char *text);

#endif
