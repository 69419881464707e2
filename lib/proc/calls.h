/* The system calls of a role: tables, and the filter made of them. */
#ifndef POSTERN_PROC_CALLS_H
#define POSTERN_PROC_CALLS_H

#include "lib/base/fault.h"

/* Loads the filter for these promises (enum promise) into all threads.
 * Needs no_new_privs. 0/-1 with why. */
int calls_lock(unsigned int promises, struct fault *why);

#endif
