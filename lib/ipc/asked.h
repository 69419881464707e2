/*
 * Questions that whoever asked may give up, under ids of our own: those of two
 * channels, one after the other, are the same. Embedded in what the user asks;
 * nothing here is allocated.
 */
#ifndef POSTERN_IPC_ASKED_H
#define POSTERN_IPC_ASKED_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/tree.h"

struct asked {
	RB_ENTRY(asked) entry;
	uint64_t id;
	bool is_cancelled; /* it is answered nevertheless */
};

/* Those that somebody waits for, the oldest first. */
RB_HEAD(asked_tree, asked);

/* Returns its id (never 0). */
uint64_t asked_add(struct asked_tree *t, struct asked *q);
/* Nobody waits for it any more; an id of none is let be. */
void asked_cancel(struct asked_tree *t, uint64_t id);
/* Its answer came, and is not passed on yet. True: somebody waits for it. */
bool asked_end(struct asked_tree *t, struct asked *q);
/* NULL: there is none. */
struct asked *asked_oldest(struct asked_tree *t);

#endif
