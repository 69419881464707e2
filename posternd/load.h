/* The configuration as the gateway runs with it: the file, and what the
 * machine says besides. */
#ifndef POSTERN_POSTERND_LOAD_H
#define POSTERN_POSTERND_LOAD_H

#include <stdbool.h>

#include "posternd/conf.h"

enum { LOAD_DEFINES_MAX = 64 };

/* What the command line says about it. */
struct load_options {
	const char *file;
	struct conf_define defines[LOAD_DEFINES_MAX];
	size_t ndefines;
};

#define LOAD_RESOLV_CONF "/etc/resolv.conf"

/* The file alone, for a check of it. As conf_load. */
struct config *load_file(
    const struct load_options *o, struct conf_errors *messages);
/* The whole: users are forgotten unless we are root, and the name servers are
 * those of resolv_conf unless the file names some.
 * Returns one reference, or NULL when there is any error. */
struct config *load_whole(const struct load_options *o, bool as_root,
    const char *resolv_conf, struct conf_errors *messages);
/* The file's name holds in any working directory from here on. */
void load_make_absolute(struct load_options *o);

#endif
