/* The base directories this process was handed, each for its action. */
#ifndef POSTERN_MAILDIR_BOXES_H
#define POSTERN_MAILDIR_BOXES_H

#include <stdint.h>

#include "lib/rules/config.h"

/* dir is the base of the action with this id in the configuration to come;
 * owned from here on. */
void boxes_add(uint32_t action, int dir);
/* The first configuration gives the directories their actions' names, later
 * ones new templates. */
void boxes_set_config(struct config *c);
const char *boxes_hostname(void);
/* The template of an action, and the directory of its base. NULL when the
 * action is gone, or its base is not the one we were handed. */
const struct action *boxes_find(struct str name, int *dir);
/* Closes and forgets everything. */
void boxes_clear(void);

#endif
