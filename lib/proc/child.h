/*
 * What every role does first, and its side of all_parent: identity,
 * descriptors, jail, log, configuration, peers, go, stop. (The one folder of
 * lib/ that includes edges: all_parent and control_all are everyone's.)
 *
 * The parent execs the role with descriptor 3 as its channel and 4 as its
 * log, and argv { role, instance }.
 */
#ifndef POSTERN_PROC_CHILD_H
#define POSTERN_PROC_CHILD_H

#include <stdint.h>

#include "edges/all_parent.h"
#include "edges/edges.h"
#include "lib/base/loop.h"
#include "lib/ipc/channel.h"
#include "lib/rules/config.h"

enum {
	CHILD_PARENT_FD = 3,
	CHILD_LOG_FD = 4,
	CHILD_DIRS_MAX = 64 /* directories that one process is handed */
};

/* What a role brings. Any callback may be NULL. */
struct child_ops {
	enum role role;
	unsigned int promises; /* enum promise */
	/* Warm-up before the jail: nothing from outside was seen yet. */
	void (*prepare)(struct loop *l);
	/* A directory from the parent, before the jail; the role owns dir. */
	void (*on_dir)(uint32_t action, int dir);
	/* Rights are gone, seccomp not yet on: start threads, and make what
	 * they need (an eventfd); child_config() is there, on_config has not
	 * run yet. 0/-1. */
	int (*start_threads)(void *unused);
	/* A listening socket; the role owns it. While it runs: one of the
	 * listeners of the configuration that comes; on_config follows. */
	void (*on_listen)(uint32_t id, int socket);
	void (*on_sources)(uint32_t column, int map);
	/* Certificates of authorities (PEM), before on_config; the role owns
	 * fd. */
	void (*on_authorities)(int fd);
	/* Keys of session tickets, TICKET_KEY_SIZE each, the first in use. */
	void (*on_tickets)(struct str keys);
	/* A private key of the configuration that comes: name of its file;
	 * the role owns fd. on_config follows when all is there. */
	void (*on_key)(struct str name, int fd);
	void (*on_control_access)(const struct tell_control_access *m);
	/* A whole configuration; the child keeps a reference of its own. */
	void (*on_config)(struct config *c);
	/* A socket to a peer with which it has an edge: the role makes its
	 * channel with the edge and end of edges_between, and returns it (NULL:
	 * none, and the socket is closed). A former channel to the same peer is
	 * dead. When this one ends the parent hears of it, and there is a new
	 * one. */
	struct channel *(*on_peer)(
	    enum role peer, uint16_t instance, int socket);
	/* Everything was handed over: begin. Returns 0, or -1 with why: then
	 * the process says so to the parent and exits. tell_ready leaves when
	 * this returned 0. */
	int (*on_go)(struct fault *why);
	/* Take nothing new; call child_exit when the rest is done. When grace
	 * has passed the process exits anyway. NULL: exits at once. */
	void (*on_stop)(uint32_t grace_ms);
	/* Somebody else accepts now: finish the sessions there are, and call
	 * child_exit when the last is gone; when grace has passed on_stop is
	 * called. NULL: as on_stop. */
	void (*on_retire)(uint32_t grace_ms);
	/* Grace has passed: last words, which have left when it returns. */
	void (*on_grace_over)(void);
};

/* The main of a role: never returns. */
_Noreturn void child_main(int argc, char **argv, const struct child_ops *ops);

/* For the role's code, valid from prepare on. */
struct loop *child_loop(void);
uint16_t child_instance(void);
/* The present configuration (no new reference); NULL before the first. */
struct config *child_config(void);
/* Behind on_retire: nothing comes in any more, and nobody whom the parent
 * wants to stop is needed for what there is. */
void child_tell_retired(void);
/* Flushes channels and log, then ends the process with status 0. */
_Noreturn void child_exit(void);

#endif
