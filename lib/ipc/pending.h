/* Requests that wait for their answer: id -> callback. */
#ifndef POSTERN_IPC_PENDING_H
#define POSTERN_IPC_PENDING_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"

struct pending_entry;

struct pending {
	struct pending_entry **slots; /* a hash table of chains */
	size_t nslots, count;
};

void pending_init(struct pending *p);
/* Frees what is left without calling anybody. */
void pending_clear(struct pending *p);
void pending_add(struct pending *p, uint64_t id, answer_fn *fn, void *ctx);
/* The asker is gone: a late answer finds the entry and nobody behind it. */
void pending_cancel(struct pending *p, uint64_t id);
/* Takes the entry out. Returns 0 and its callback (NULL when cancelled), or
 * -1 when there is none. */
int pending_take(struct pending *p, uint64_t id, answer_fn **fn, void **ctx);
/* Takes any entry out, the oldest of some chain first; -1 when empty. */
int pending_take_any(struct pending *p, answer_fn **fn, void **ctx);

#endif
