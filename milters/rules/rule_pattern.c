#include "milters/rules/rule_pattern.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/str.h"

void
patterns_clear(struct patterns *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->p[i].glob == NULL)
			regfree(&list->p[i].regex);
		free(list->p[i].glob);
	}
	free(list->p);
	*list = (struct patterns){ 0 };
}

static struct pattern *
one_more(struct patterns *list)
{
	list->p = xreallocarray(list->p, list->n + 1, sizeof(*list->p));
	list->p[list->n] = (struct pattern){ 0 };
	return &list->p[list->n];
}

void
patterns_add_glob(struct patterns *list, const char *glob)
{
	one_more(list)->glob = xstrdup(glob);
	list->n++;
}

int
patterns_add_regex(struct patterns *list, const char *text, bool fold,
    char *error, size_t size)
{
	struct pattern *p = one_more(list);
	int e = regcomp(
	    &p->regex, text, REG_EXTENDED | REG_NOSUB | (fold ? REG_ICASE : 0));

	if (e != 0) {
		(void)regerror(e, &p->regex, error, size);
		return -1;
	}
	list->n++;
	return 0;
}

/* One way back, to the last star: never more than length by length. */
bool
glob_match(const char *glob, const char *text)
{
	const char *star = NULL, *retry = NULL;

	while (*text != '\0') {
		if (*glob == '*') {
			star = ++glob;
			retry = text;
		} else if (*glob != '\0' &&
			   (*glob == '?' ||
			       chr_lower(*glob) == chr_lower(*text))) {
			glob++;
			text++;
		} else if (star != NULL) {
			glob = star;
			text = ++retry;
		} else
			return false;
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

bool
patterns_match(const struct patterns *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct pattern *p = &list->p[i];

		if (p->glob != NULL ? glob_match(p->glob, text) :
				      regexec(&p->regex, text, 0, NULL, 0) == 0)
			return true;
	}
	return false;
}
