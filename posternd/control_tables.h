/* `show tables': what tables the configuration has. */
#ifndef POSTERN_POSTERND_CONTROL_TABLES_H
#define POSTERN_POSTERND_CONTROL_TABLES_H

#include <stdint.h>

#include "lib/ipc/channel.h"
#include "lib/rules/config.h"

/* A row_table to question id for each that has a name. */
void control_tables_tell(
    struct channel *ch, const struct config *c, uint64_t id);

#endif
