/* A child comes to life: exec, and everything that it is handed. */
#ifndef POSTERN_POSTERND_SPAWN_H
#define POSTERN_POSTERND_SPAWN_H

#include "lib/base/fault.h"
#include "posternd/gateway.h"

/* Starts the program and hands over what is its own: directories, jail,
 * configuration, listeners. Peers come next (links_join), then spawn_go.
 * Returns 0, or -1 with why; then nothing runs. */
int spawn_start(struct process *p, struct fault *why);
void spawn_go(struct process *p);
/* Can all of this configuration be said in messages, and have we descriptors
 * enough to tell somebody? Returns 0, or -1 with why. */
int spawn_can_send(const struct config *c, struct loop *l, struct fault *why);
/* There is a new configuration; who still has one to take is told of this one
 * behind it. Only after spawn_go: who is told says when it has taken it. */
void spawn_tell_config(struct process *p);
/* The control socket is another, or for others. */
void spawn_tell_control(struct process *p);
/* There are new keys of session tickets. */
void spawn_tell_tickets(struct process *p);
/* The log has a new descriptor. */
void spawn_tell_log(struct process *p);

/* What spawn.c and links.c make of from_children.c and from_control.c. */
extern const struct handler from_children_handlers[];
extern const struct handler from_control_handlers[];
void from_control_closed(void *ctx, struct channel *ch);

#endif
