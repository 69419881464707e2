/* The children start in order, are started again when they die, and stop in
 * order. */
#ifndef POSTERN_POSTERND_WATCH_H
#define POSTERN_POSTERND_WATCH_H

#include <stdint.h>

#include "posternd/gateway.h"

enum { STOP_GRACE_MS = 10000 };

/* Before the start: its timer. */
void watch_add(struct process *p);
/* Starts all, wave by wave; gw->on_ready when the last wave is ready. When
 * one fails before that, gw->failure is set, all are killed and the loop
 * ends. Wants SIGCHLD to come to watch_reap. */
void watch_start(struct gateway *gw);
/* A child has died, or several. */
void watch_reap(struct gateway *gw);
/* Stops all in the opposite order; each has this long, then it is killed.
 * The loop ends when all are gone. A second call kills at once. */
void watch_stop(struct gateway *gw, uint32_t grace_ms);
/* Tells one process to stop, and kills it when it has not after grace; nothing
 * is started in its place until watch_return. When it is gone upgrade_step
 * hears of it, and reload_taken. */
void watch_leave(struct process *p, uint32_t grace_ms);
void watch_return(struct process *p);
/* Kills all and waits for them. */
void watch_kill(struct gateway *gw);

/* --- for from_children.c and spawn.c --- */
void watch_ready(struct process *p);
/* It is not what we want to talk to: killed, and why becomes its reason. */
void watch_refuse(struct process *p, const char *why);
void watch_channel_closed(void *ctx, struct channel *ch);

#endif
