/* A configuration whose only action relays: what policies are made of. */
#ifndef POSTERN_TESTS_UNIT_DELIVERY_ONE_ACTION_H
#define POSTERN_TESTS_UNIT_DELIVERY_ONE_ACTION_H

#include <check.h>
#include <stdlib.h>

#include "delivery/policy.h"
#include "lib/base/alloc.h"

static struct config *config;
static struct action *action;

static inline void
setup_action(void)
{
	config = config_new();
	free(config->hostname);
	config->hostname = xstrdup("gw.test");
	config->actions = xcalloc(1, sizeof(*config->actions));
	config->nactions = 1;
	action = &config->actions[0];
	action->name = xstrdup("out");
	action->kind = ACTION_RELAY;
}

static inline void
teardown(void)
{
	policies_clear();
	ck_assert_uint_eq(config->refs, 1);
	config_unref(&config);
}

#endif
