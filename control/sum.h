/* Numbers of all processes, one row per name; or per name and process. */
#ifndef POSTERN_CONTROL_SUM_H
#define POSTERN_CONTROL_SUM_H

#include <stdint.h>

#include "lib/base/str.h"

enum { SUM_NAMES_MAX = 16384 }; /* different names; more are not taken */

struct sum;

struct sum *sum_new(void);
void sum_free(struct sum **s);
/* Adds value to what stands under name and process (copied; the second may be
 * empty). */
void sum_add(
    struct sum *s, struct str name, struct str process, uint64_t value);
/* Calls fn with each, in the order of their names. */
void sum_each(const struct sum *s,
    void (*fn)(void *ctx, struct str name, struct str process, uint64_t value),
    void *ctx);

#endif
