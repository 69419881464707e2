/* Which files there are in log/, and what their headers say. */
#ifndef POSTERN_QUEUE_INVENTORY_H
#define POSTERN_QUEUE_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fault.h"
#include "queue/journal.h"
#include "queue/scan.h"

struct found_segment {
	char name[JOURNAL_NAME];
	struct segment_header header;
	bool is_whole;  /* the file is as long as its header says */
	uint32_t index; /* in the journal, once it is there */
	struct scan scan;
};

struct inventory {
	int dir;                     /* log/, not owned */
	struct found_segment *found; /* owned; in use, by generation */
	size_t n, cap;
	uint32_t *spares; /* owned; numbers */
	size_t nspares, capspares;
	struct fault trouble; /* why a file could not be looked at */
};

/* Reads every header; what does not belong there goes to corrupt/, what was
 * never finished is removed. Raises the journal's counters. -1 with why. */
int inventory_read(
    struct inventory *v, struct journal *j, int corrupt, struct fault *why);
/* Gives the spares to the journal; those too many or of another size are
 * removed. */
void inventory_spares(struct inventory *v, struct journal *j);
void inventory_clear(struct inventory *v);
/* A read-only descriptor (the caller's), or -1. */
int inventory_open(const struct inventory *v, const struct found_segment *f);

#endif
