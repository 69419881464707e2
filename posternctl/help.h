/* What may be said to posternctl. */
#ifndef POSTERN_POSTERNCTL_HELP_H
#define POSTERN_POSTERNCTL_HELP_H

#include "posternctl/commands.h"

/* -h: all commands, on standard output. Returns an enum ctl_exit. */
int help_all(const struct call *c);
/* On stderr, when there is no such command: those that begin with its first
 * word, or how to learn of them. */
void help_usage(const struct call *c);
/* The same, and what it is that there is not. */
void help_unknown(const struct call *c);

#endif
