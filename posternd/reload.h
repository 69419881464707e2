/* The configuration is read again while all run. */
#ifndef POSTERN_POSTERND_RELOAD_H
#define POSTERN_POSTERND_RELOAD_H

#include <bsd/sys/queue.h>

#include "posternd/conf.h"
#include "posternd/diff.h"
#include "posternd/gateway.h"

/* Embedded in its owner. */
struct reload_wait {
	STAILQ_ENTRY(reload_wait) next;
	void (*fn)(void *ctx);
	void *ctx;
};

/* All or nothing: the same file, and what it names, become the configuration
 * of everybody, or the present one stays. What is wrong, and what a running
 * gateway cannot change, is in messages (the caller's to clear) and in the
 * log; so is what changed (likewise). confirm_ms: see confirm.h; 0: for good.
 * Returns 0/-1. */
int reload(struct gateway *gw, uint64_t confirm_ms,
    struct conf_errors *messages, struct diff *changes);
/* Only says what a reload would change. */
int reload_diff(
    struct gateway *gw, struct conf_errors *messages, struct diff *changes);
/* The configuration that held becomes that of everybody again; gw takes a
 * reference of its own. Returns 0, or -1 and all stays, which is logged. */
int reload_back(struct gateway *gw, struct config *former);
/* Calls back, perhaps at once, when every process has taken what it was
 * told. */
void reload_wait(
    struct gateway *gw, struct reload_wait *w, void (*fn)(void *), void *ctx);
/* A process has taken its configuration, or is no more. */
void reload_taken(struct gateway *gw);

#endif
