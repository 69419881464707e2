/* Recovery's table of messages: seq -> what the log said of it so far. */
#ifndef POSTERN_QUEUE_SEQMAP_H
#define POSTERN_QUEUE_SEQMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/store.h"

struct seq_entry {
	uint64_t seq;         /* 0: free */
	struct store_ref ref; /* of the last copy, when has_mail */
	uint32_t nrcpt;
	uint32_t finished_in; /* segment, when finished */
	uint64_t whole;       /* ordinal of the last state that was whole */
	bool has_mail, finished;
};

struct seqmap {
	struct seq_entry *entries; /* owned */
	size_t n, cap;             /* cap: a power of two */
};

/* Found or made; void after the next call. */
struct seq_entry *seqmap_get(struct seqmap *m, uint64_t seq);
/* NULL when it is not there. */
struct seq_entry *seqmap_find(const struct seqmap *m, uint64_t seq);
void seqmap_clear(struct seqmap *m);

#endif
