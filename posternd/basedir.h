/* The directories that roles are handed as descriptors. */
#ifndef POSTERN_POSTERND_BASEDIR_H
#define POSTERN_POSTERND_BASEDIR_H

#include "posternd/gateway.h"

/* Opens the spool, the bases of Maildirs and the empty root into gw; makes
 * the spool and a base when only they are missing. Complains about each that
 * is missing or that its user cannot write. */
void basedir_open(struct gateway *gw);
/* The bases of c's Maildirs, by action's id, -1: none; the caller's. Those
 * that gw has are the same directories. Complains likewise. */
int *basedir_open_bases(const struct gateway *gw, const struct config *c);
/* Those of c. */
void basedir_close_bases(int **bases, const struct config *c);

#endif
