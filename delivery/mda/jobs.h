/*
 * The works of the queue that wait for commands or have some running: one
 * command for each recipient, a bounded number of each action at the same time,
 * so that one that hangs does not keep the others' mail; works by turns.
 */
#ifndef POSTERN_MDA_JOBS_H
#define POSTERN_MDA_JOBS_H

#include "delivery/agents/local_work.h"
#include "lib/base/loop.h"
#include "lib/rules/config.h"

enum {
	JOBS_CAPACITY = 32, /* works */
	JOBS_RUNS_MAX = 8   /* commands of an action at the same time */
};

void jobs_init(struct loop *l);
/* A command that runs keeps what it was started with. */
void jobs_set_config(struct config *c);
/* The work is the jobs' from here on; ch, to the queue, gets its
 * results. */
void jobs_add(struct local_work *w, struct channel *ch);
/* Nobody to tell any more: works are forgotten, commands are ended, since
 * their mail comes again. */
void jobs_lose(void);
/* Starts no more commands; done when the last that runs has ended. */
void jobs_stop(void (*done)(void));
/* Ends those that still run, and tells so. */
void jobs_kill(void);

#endif
