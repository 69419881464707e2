#include "posternd/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "posternd/resolvconf.h"

struct config *
load_file(const struct load_options *o, struct conf_errors *messages)
{
	return conf_load(o->file, o->defines, o->ndefines, messages);
}

/* What the file names begins at its folder, or is absolute. */
void
load_make_absolute(struct load_options *o)
{
	char *here, *whole;
	if (o->file[0] == '/')
		return;
	here = getcwd(NULL, 0);
	if (here == NULL)
		fatal_errno("working directory");
	if (asprintf(&whole, "%s/%s", here, o->file) == -1)
		abort();
	free(here);
	o->file = whole;
}

/* What only root can do is left out; one user has all Maildirs,
 * and runs all commands. */
static void
forget_users(struct config *c)
{
	for (size_t i = 0; i < c->nactions; i++) {
		free(c->actions[i].user);
		c->actions[i].user = NULL;
	}
}

/* --- name servers --- */

/* With those of the file that was said already (conf_check_ways.c). */
static void
check_trust_ad(const struct config *c, const char *resolv_conf,
    struct conf_errors *messages)
{
	for (size_t i = 0; i < c->nactions; i++)
		if (conf_needs_trust_ad(c, &c->actions[i]))
			conf_add_warning(messages,
			    "action `%s' (line %u): `dane' without "
			    "`resolver ... trust-ad' or `options trust-ad' in "
			    "%s: it will be off",
			    c->actions[i].name, c->actions[i].line,
			    resolv_conf);
}

static void
settle_servers(
    struct config *c, const char *resolv_conf, struct conf_errors *messages)
{
	struct fault why = { 0 };
	if (c->nservers == 0) {
		resolvconf_read(resolv_conf, c, messages);
		check_trust_ad(c, resolv_conf, messages);
	}
	if (c->nservers > 0)
		return;
	if (config_needs_names(c, &why))
		conf_add_error(messages,
		    "there is no name server, neither by `resolver' nor in "
		    "%s: %s cannot do without",
		    resolv_conf, why.text);
	else
		conf_add_warning(messages,
		    "there is no name server, neither by `resolver' nor in "
		    "%s: clients have no names",
		    resolv_conf);
}

struct config *
load_whole(const struct load_options *o, bool as_root, const char *resolv_conf,
    struct conf_errors *messages)
{
	struct config *c = load_file(o, messages);
	if (c == NULL)
		return NULL;
	if (!as_root)
		forget_users(c);
	settle_servers(c, resolv_conf, messages);
	if (messages->nerrors > 0)
		config_unref(&c);
	return c;
}
