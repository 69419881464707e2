/* The directories that roles are handed as descriptors. */
#ifndef POSTERN_POSTERND_BASEDIR_H
#define POSTERN_POSTERND_BASEDIR_H

#include "posternd/gateway.h"

/* Opens the spool, the bases of Maildirs and the empty root into gw; makes
 * the spool and a base when only they are missing. Complains about each that
 * is missing or that its user cannot write. */
void basedir_open(struct gateway *gw);

#endif
