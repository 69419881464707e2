#include "delivery/maildir/boxes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/proc/child.h"
#include "lib/rules/instance.h"

/* Ids change from one configuration to the next; names and bases say
 * whether a directory is still the right one. */
struct box {
	uint32_t action; /* id in the first configuration */
	int dir;
	char *name, *base; /* NULL until the first configuration */
};

static struct box *boxes;
static size_t nboxes;
static struct config *config;

void
boxes_add(uint32_t action, int dir)
{
	boxes = xreallocarray(boxes, nboxes + 1, sizeof(*boxes));
	boxes[nboxes++] = (struct box){ .action = action, .dir = dir };
}

static void
name_boxes(const struct config *c)
{
	for (size_t i = 0; i < nboxes; i++) {
		const struct action *a;

		if (boxes[i].action >= c->nactions)
			continue;
		a = &c->actions[boxes[i].action];
		if (a->kind != ACTION_MAILDIR || a->base == NULL)
			continue;
		boxes[i].name = xstrdup(a->name);
		boxes[i].base = xstrdup(a->base);
	}
}

void
boxes_set_config(struct config *c)
{
	struct config *old = config;

	config = config_ref(c);
	if (old == NULL)
		name_boxes(c);
	else
		config_unref(&old);
}

const char *
boxes_hostname(void)
{
	return config == NULL ? "localhost" : config->hostname;
}

const struct action *
boxes_find(struct str name, int *dir)
{
	const struct action *a = config == NULL ?
				     NULL :
				     config_agent_action(config, name,
					 ACTION_MAILDIR, child_instance());

	if (a == NULL || a->path == NULL || a->base == NULL)
		return NULL;
	for (size_t i = 0; i < nboxes; i++)
		if (boxes[i].name != NULL &&
		    strcmp(boxes[i].name, a->name) == 0 &&
		    strcmp(boxes[i].base, a->base) == 0) {
			*dir = boxes[i].dir;
			return a;
		}
	return NULL;
}

void
boxes_clear(void)
{
	for (size_t i = 0; i < nboxes; i++) {
		(void)close(boxes[i].dir);
		free(boxes[i].name);
		free(boxes[i].base);
	}
	free(boxes);
	boxes = NULL;
	nboxes = 0;
	if (config != NULL)
		config_unref(&config);
}
