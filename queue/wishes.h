/*
 * What a mail's sender wishes to find in reports (ENVID, and ORCPT of each
 * recipient), as a block that goes with its content: the index has no room
 * for it. Most mail has none.
 */
#ifndef POSTERN_QUEUE_WISHES_H
#define POSTERN_QUEUE_WISHES_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "queue/store.h"

/* Bytes of a block: more than any mail has. */
enum { WISHES_MAX = 64 << 20 };

/* Looks recipients up; fastest when they come in the order of their index. */
struct wishes {
	struct str block; /* lives longer */
	size_t at;        /* the next recipient in it */
};

/* out: its block; nothing when there are no wishes. */
void wishes_make(const struct mail_record *m, struct buf *out);
/* A block that wishes_make made. */
void wishes_init(struct wishes *w, struct str block);
/* Both empty when there is none. */
struct str wishes_envid(const struct wishes *w);
struct str wishes_orcpt(struct wishes *w, uint32_t index);

#endif
