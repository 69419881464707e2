/* The filter as libmilter calls it. */
#ifndef POSTERN_MILTERS_RULES_CALLBACKS_H
#define POSTERN_MILTERS_RULES_CALLBACKS_H

#include "milters/common/filter.h"

/* The rules of sessions to come, from that file. 0/-1 */
int callbacks_load(const char *file);
extern struct smfiDesc callbacks_desc;

#endif
