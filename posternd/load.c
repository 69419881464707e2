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

/* --- paths: we leave the directory that a relative one begins in --- */

/* A new text; NULL when path is absolute already. */
static char *
absolute(const char *path)
{
	char *here, *whole;
	if (path == NULL || path[0] == '/')
		return NULL;
	here = getcwd(NULL, 0);
	if (here == NULL)
		fatal_errno("working directory");
	if (asprintf(&whole, "%s/%s", here, path) == -1)
		abort();
	free(here);
	return whole;
}

static void
make_absolute(char **path)
{
	char *whole = absolute(*path);
	if (whole == NULL)
		return;
	free(*path);
	*path = whole;
}

void
load_make_absolute(struct load_options *o)
{
	char *whole = absolute(o->file);
	if (whole != NULL)
		o->file = whole;
}

static void
settle_paths(struct config *c)
{
	make_absolute(&c->spool);
	make_absolute(&c->control_path);
	make_absolute(&c->submit_path);
	make_absolute(&c->log_path);
	for (size_t i = 0; i < c->nlisteners; i++)
		make_absolute(&c->listeners[i].path);
	for (size_t i = 0; i < c->nactions; i++)
		make_absolute(&c->actions[i].base);
}

/* What only root can do is left out; one user has all Maildirs. */
static void
forget_users(struct config *c)
{
	for (size_t i = 0; i < c->nactions; i++) {
		free(c->actions[i].user);
		c->actions[i].user = NULL;
	}
}

/* --- name servers --- */

static void
settle_servers(
    struct config *c, const char *resolv_conf, struct conf_errors *messages)
{
	struct fault why = { 0 };
	if (c->nservers == 0)
		resolvconf_read(resolv_conf, c, messages);
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
	settle_paths(c);
	if (!as_root)
		forget_users(c);
	settle_servers(c, resolv_conf, messages);
	if (messages->nerrors > 0)
		config_unref(&c);
	return c;
}
