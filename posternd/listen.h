/* The sockets that the gateway listens on: those of a configuration are bound
 * before it holds, and what two of them have in common is the same socket. */
#ifndef POSTERN_POSTERND_LISTEN_H
#define POSTERN_POSTERND_LISTEN_H

#include "posternd/gateway.h"

/* At the start: takes what was handed over (inherited.h) and binds the rest,
 * listeners and the control socket, into gw; complains about each that cannot
 * be had. */
void listen_open(struct gateway *gw);
/* Behind it, when all is well: what was handed over and is no listener any
 * more stays open until listen_close_left, for who empties it. */
void listen_keep_left(struct gateway *gw);
/* Removes the Unix sockets from the file system. */
void listen_remove(const struct gateway *gw);

/* What another configuration listens on. */
struct listen_change {
	struct listen_socket *sockets; /* n, by listener's id; owned */
	size_t *former; /* of each the present listener that it is, whose
			 * socket stays gw's; SIZE_MAX: it is new */
	size_t n;
	struct listen_socket control; /* another one, or none */
	struct listen_socket http;    /* likewise */
	bool keeps_http;
	uint32_t control_gid, view_gid;
};

/* Binds what is new; complains about each that cannot be had, and then the
 * caller abandons it. */
void listen_prepare(const struct gateway *gw, const struct config *next,
    struct listen_change *out);
void listen_abandon(struct listen_change *c);
/* gw listens on these from here on (gw->conf is not next yet). Those that go
 * have lost their names, and stay open for who accepts there until
 * listen_close_left. */
void listen_commit(
    struct gateway *gw, struct config *next, struct listen_change *c);
void listen_close_left(struct gateway *gw);

#endif
