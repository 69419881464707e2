/*
 * BDAT (RFC 3030): content in chunks, octet by octet as announced. What a
 * refused BDAT announced goes by unseen before its reply, so that no octet of
 * content is ever read as a command.
 */
#ifndef POSTERN_SMTPD_CMD_BDAT_H
#define POSTERN_SMTPD_CMD_BDAT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/str.h"
#include "smtpd/command.h"

struct session;

/* What the argument says into octets and last, before anything else is
 * looked at. STAGE_ANSWERED: nobody knows how much follows, or it is beyond
 * all reason; the session ends. */
enum stage bdat_size(struct command *c);
/* The present chunk has come in whole, and nobody has looked yet. */
bool bdat_is_whole(const struct session *s);
/* The command is answered: its octets go by, then command_done. */
void bdat_skip(struct command *c);
/* A piece of the present chunk was dealt with; data_go_on for chunks. */
void bdat_go_on(struct session *s);
/* For the table of states: SESSION_CHUNK. */
size_t chunk_input(struct session *s, struct str in);
void chunk_timeout(struct session *s);

#endif
