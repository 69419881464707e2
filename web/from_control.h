/*
 * What web knows it knows from control, which it asks as one who may look.
 * Answers are kept for a second: however many ask us, that is one question.
 */
#ifndef POSTERN_WEB_FROM_CONTROL_H
#define POSTERN_WEB_FROM_CONTROL_H

#include <bsd/sys/queue.h>

#include "lib/base/loop.h"
#include "lib/ipc/channel.h"
#include "web/view.h"

enum {
	LOOK_FRESH_MS = 1000,
	LOOK_WAIT_MS = 5000 /* what was not answered by then is not known */
};

enum look { LOOK_HEALTH, LOOK_READY, LOOK_METRICS, LOOKS };

/* Somebody who wants to know; embedded in him. */
struct look_wait {
	STAILQ_ENTRY(look_wait) next;
	void (*fn)(void *ctx, const struct view *v);
	void *ctx;
};

/* Before the jail. */
void look_init(struct loop *l);
/* fn gets the view once, perhaps at once, at the latest in LOOK_WAIT_MS; what
 * of it is known says view.known. w stays until then. */
void look_at(enum look what, struct look_wait *w,
    void (*fn)(void *ctx, const struct view *v), void *ctx);
/* The channel to control (fd is taken); one there was is dead. */
struct channel *from_control_add(int fd);
/* The end of all, for tests: who waits is told. */
void look_clear(void);

#endif
