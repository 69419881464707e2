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

/* Is a the first action of its kind and user? */
static bool
is_first(const struct config *c, const struct action *a)
{
	for (size_t i = 0; i < c->nactions; i++) {
		const struct action *b = &c->actions[i];
		if (b->kind == a->kind && same_user(a, b))
			return a == b;
	}
	return false;
}

uint16_t
config_agent_count(const struct config *c, enum action_kind kind)
{
	unsigned int n = 0;
	for (size_t i = 0; i < c->nactions; i++)
		if (c->actions[i].kind == kind && is_first(c, &c->actions[i]))
			n++;
	return (uint16_t)n;
}

const char *
config_agent_user(
    const struct config *c, enum action_kind kind, uint16_t instance)
{
	for (size_t i = 0; i < c->nactions; i++) {
		const struct action *a = &c->actions[i];
		if (a->kind == kind && config_agent_instance(c, a) == instance)
			return a->user;
	}
	return NULL;
}

uint16_t
config_agent_instance(const struct config *c, const struct action *a)
{
	unsigned int n = 0;
	for (size_t i = 0; i < c->nactions; i++) {
		const struct action *b = &c->actions[i];
		if (b->kind != a->kind)
			continue;
		if (same_user(a, b))
			break;
		if (is_first(c, b))
			n++;
	}
	return (uint16_t)n;
}

const struct action *
config_agent_action(const struct config *c, struct str name,
    enum action_kind kind, uint16_t instance)
{
	const struct action *a = config_find_action(c, name);
	return a != NULL && a->kind == kind &&
		       config_agent_instance(c, a) == instance ?
		   a :
		   NULL;
}
