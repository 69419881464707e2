/* A process that spins is ended: by the kernel, since nothing else in it would
 * run. For processes of one thread whose loop never has that much to do. */
#ifndef POSTERN_PROC_WATCHDOG_H
#define POSTERN_PROC_WATCHDOG_H

#include <stdint.h>

#include "lib/base/loop.h"

enum { WATCHDOG_CPU_MS = 10000 };

/* From now on a round of the loop that takes more CPU time than that ends the
 * process with SIGPROF. Once in a process; in the jail with PROMISE_WATCHDOG.
 */
void watchdog_start(struct loop *l, uint64_t cpu_ms);

#endif
