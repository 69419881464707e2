/* `log verbose', `log brief': how much everybody logs. */
#ifndef POSTERN_POSTERND_LOG_LEVEL_H
#define POSTERN_POSTERND_LOG_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

struct gateway;

/* From now on, in all processes and in those that are started later, until
 * the gateway ends; uid is whose wish it is. */
void log_level_change(struct gateway *gw, bool verbose, uint32_t uid);

#endif
