#include "lib/rules/instance.h"

#include <stdbool.h>
#include <string.h>

static bool
same_user(const struct action *a, const struct action *b)
{
	if (a->user == NULL || b->user == NULL)
		return a->user == b->user;
	return strcmp(a->user, b->user) == 0;
}

/* Is a the first maildir action of its user? */
static bool
is_first(const struct config *c, const struct action *a)
{
	for (size_t i = 0; i < c->nactions; i++) {
		const struct action *b = &c->actions[i];
		if (b->kind == ACTION_MAILDIR && same_user(a, b))
			return a == b;
	}
	return false;
}

uint16_t
config_maildir_count(const struct config *c)
{
	unsigned int n = 0;
	for (size_t i = 0; i < c->nactions; i++)
		if (c->actions[i].kind == ACTION_MAILDIR &&
		    is_first(c, &c->actions[i]))
			n++;
	return (uint16_t)n;
}

const char *
config_maildir_user(const struct config *c, uint16_t instance)
{
	for (size_t i = 0; i < c->nactions; i++) {
		const struct action *a = &c->actions[i];
		if (a->kind == ACTION_MAILDIR &&
		    config_maildir_instance(c, a) == instance)
			return a->user;
	}
	return NULL;
}

uint16_t
config_maildir_instance(const struct config *c, const struct action *a)
{
	unsigned int n = 0;
	for (size_t i = 0; i < c->nactions; i++) {
		const struct action *b = &c->actions[i];
		if (b->kind != ACTION_MAILDIR)
			continue;
		if (same_user(a, b))
			break;
		if (is_first(c, b))
			n++;
	}
	return (uint16_t)n;
}
