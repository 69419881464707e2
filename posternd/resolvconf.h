/* The machine's own name servers: resolv.conf(5). */
#ifndef POSTERN_POSTERND_RESOLVCONF_H
#define POSTERN_POSTERND_RESOLVCONF_H

#include "posternd/conf.h"

enum { RESOLVCONF_SERVERS_MAX = 3, RESOLVCONF_BYTES_MAX = 65536 };

/* Adds its first three name servers to c, with the options `timeout' and
 * `trust-ad'; search lists and the like are nothing to a mail gateway. What
 * makes no sense is a warning with its line, and left out. */
void resolvconf_read(
    const char *path, struct config *c, struct conf_errors *messages);

#endif
