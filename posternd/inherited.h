/*
 * The listening sockets that the gateway before a restart in place handed
 * over: each is taken by the statement that has its address, and the rest is
 * closed.
 */
#ifndef POSTERN_POSTERND_INHERITED_H
#define POSTERN_POSTERND_INHERITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/net/addr.h"

enum inherited_kind {
	INHERITED_LISTEN,  /* `listen on ADDRESS port N' */
	INHERITED_SUBMIT,  /* `listen on socket PATH' */
	INHERITED_CONTROL, /* `control PATH' */
	INHERITED_HTTP     /* `http ADDRESS port N' */
};

enum { INHERITED_KINDS = INHERITED_HTTP + 1 };

struct inherited {
	enum inherited_kind kind;
	int fd;
	struct addr addr; /* family ADDR_LOCAL: path */
	uint16_t port;
	bool smtps; /* who comes there expects TLS */
	const char *path;
};

/* The sockets of this address, or of path: into *fds, which is the caller's as
 * they are. Returns how many; 0: none, *fds is NULL. */
size_t inherited_take(enum inherited_kind kind, const struct addr *a,
    uint16_t port, const char *path, int **fds);
/* The listeners that nobody took, those of smtps or the others, without a name
 * from here on: into *fds, as above. */
size_t inherited_take_rest(bool smtps, int **fds);
/* Closes what nobody took. With remove the Unix sockets among them lose their
 * names. */
void inherited_close(bool remove);

/* For the handover: one that came (path is copied). */
void inherited_add(const struct inherited *i);

#endif
