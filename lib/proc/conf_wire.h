/* struct config over all_parent: the writer and the reader side by side. */
#ifndef POSTERN_PROC_CONF_WIRE_H
#define POSTERN_PROC_CONF_WIRE_H

#include "edges/all_parent.h"
#include "lib/ipc/channel.h"
#include "lib/rules/config.h"

/* What of a configuration only some may have. */
enum conf_secrets {
	CONF_NO_SECRETS,
	CONF_KEYS,     /* the private keys of its certificates */
	CONF_PASSWORDS /* the values of the tables of `auth' */
};

/* In the parent: sends c, tables as their sealed memfds (c->table_fds, or
 * c->secret_fds). Returns 0, or -1 when something in it does not fit its
 * message, or the channel is closed. */
int conf_send(
    struct channel *ch, const struct config *c, enum conf_secrets secrets);

/* In a child: one of the tell_conf_ messages. *building holds the unfinished
 * configuration between calls (NULL at first). Returns 1 when it is complete
 * (the caller owns *building then and clears it), 0 when not yet, -1 when
 * the message makes no sense (the caller gives up). */
int conf_receive(struct config **building, uint16_t type, const void *msg);

#endif
