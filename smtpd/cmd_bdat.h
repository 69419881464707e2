/* BDAT (RFC 3030): content in chunks, octet by octet as announced. */
#ifndef POSTERN_SMTPD_CMD_BDAT_H
#define POSTERN_SMTPD_CMD_BDAT_H

#include <stddef.h>

#include "lib/base/str.h"

struct session;

/* For the table of states: SESSION_CHUNK. */
size_t chunk_input(struct session *s, struct str in);
void chunk_timeout(struct session *s);

#endif
