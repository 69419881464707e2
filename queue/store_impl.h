/* What store.c, store_open.c, reuse.c, space.c and side_file.c share; nobody
 * else includes this. */
#ifndef POSTERN_QUEUE_STORE_IMPL_H
#define POSTERN_QUEUE_STORE_IMPL_H

#include "queue/bodyfile.h"
#include "queue/committer.h"
#include "queue/housekeep.h"
#include "queue/journal.h"
#include "queue/store.h"

/* Emptying a segment that is to be reused. */
struct reuse {
	uint32_t segment;             /* index, or NO_SEGMENT */
	bool leaving;                 /* housekeeping has it */
	uint32_t at_segment, at_slot; /* how far the books were gone through */
	bool found;                   /* this pass said something again */
	unsigned int passes;
	unsigned int filling; /* spares being made */
	bool barren;          /* the last could not be made; not now */
	struct deferred step;
};

struct store {
	struct loop *loop;
	struct store_ops ops;
	void *ctx;
	int dir, lock, log_dir, large_dir, corrupt_dir; /* owned; -1 */
	struct queue_settings settings;
	uint64_t max_message;
	uint64_t latest_ms; /* of recovery */
	struct journal journal;
	struct committer committer;
	struct bodyfiles bodies;
	struct housekeep *housekeep;
	struct store_totals totals;
	struct deferred flush;
	struct reuse reuse;
	uint64_t restating; /* the seq that is said again now, or 0 */
	uint64_t opened; /* of the journal's, when spares were last seen to */
	/* space.c */
	struct timer *probe_timer, *space_timer;
	uint64_t probe_wait_ms, space_checked_ms, free_bytes;
	bool suspect, is_short;
	bool no_room; /* not even for a state */
	uint8_t told_space;
	bool closing;
};

/* Something was added by the store itself: committed in this round. */
void store_flush_soon(struct store *s);
/* A record that the message is over (again). */
void store_push_finished(struct store *s, struct store_ref ref, uint64_t seq);
/* Has the queue say a message's whole state. */
void store_restate(struct store *s, uint64_t seq);

/* --- reuse.c --- */
void reuse_init(struct store *s);
/* After each commit, and when there may be something to do. */
void reuse_look(struct store *s);
/* Seals segments that were left; makes spares. */
void reuse_tend(struct store *s);

/* --- space.c --- */
int space_init(struct store *s);
void space_clear(struct store *s);
/* Asks the file system, at most once a second unless now. */
void space_check(struct store *s, bool now);
/* A write or sync failed (errno): no mail until a probe succeeds; the first
 * is made here. */
void space_suspect(struct store *s, const char *what);
/* There was no segment for a state: nothing is written until there is a
 * spare. */
void space_no_room(struct store *s);
/* A spare was made. */
void space_has_spare(struct store *s);
/* Looks again in a second. */
void space_look_later(struct store *s);

#endif
