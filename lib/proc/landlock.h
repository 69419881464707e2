/* Landlock: which part of the file system is left to a process. */
#ifndef POSTERN_PROC_LANDLOCK_H
#define POSTERN_PROC_LANDLOCK_H

#include "lib/base/fault.h"
#include "lib/proc/sandbox.h"

/* Leaves only j->dirs, and TCP only to PROMISE_CONNECT (PROMISE_RESOLVE and
 * PROMISE_DIAL: no bind). Needs no_new_privs.
 * Returns the kernel's version of Landlock, 0 when it has none, or -1 with
 * why. */
int landlock_enter(const struct jail *j, struct fault *why);

#endif
