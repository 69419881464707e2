/*
 * Could the program that is to follow us start? It is run with our options and
 * -n, and with our listening sockets: it reads the configuration, finds users
 * and directories, binds what we do not have; and says what is wrong.
 */
#ifndef POSTERN_POSTERND_REHEARSAL_H
#define POSTERN_POSTERND_REHEARSAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "posternd/gateway.h"

/* good: it could; else all that is wrong has been logged. */
typedef void rehearsal_fn(struct gateway *gw, bool good);

/* The program's file, in memory of ours that the caller frees. */
char *rehearsal_program(const struct gateway *gw);
/* 0, and fn once; or -1, logged. */
int rehearsal_start(struct gateway *gw, rehearsal_fn *fn);
/* It is no longer wanted. */
void rehearsal_cancel(void);
/* Was it this child? */
bool rehearsal_reap(struct gateway *gw, pid_t pid, int status);

#endif
