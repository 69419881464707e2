/*
 * Body files: large/NUMBER holds the body of a large message as received.
 * The file is synced, then its name, then the record that names it is
 * written; after a restart a file that no record names is removed.
 */
#ifndef POSTERN_QUEUE_BODYFILE_H
#define POSTERN_QUEUE_BODYFILE_H

#include "lib/base/tree.h"
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/fault.h"
#include "queue/store.h"

struct body;
RB_HEAD(body_tree, body);
RB_HEAD(number_tree, body);

struct bodyfiles {
	int dir, corrupt;             /* large/, corrupt/; not owned */
	struct body_tree known;       /* of messages in the log, by seq */
	struct number_tree by_number; /* and by number: of two messages with
				       * one body one is about to take the
				       * other's place */
};

void bodyfiles_init(struct bodyfiles *b, int dir, int corrupt);
void bodyfiles_clear(struct bodyfiles *b);
/* Writable and readable, new; -1 with errno (EEXIST: take another number). */
int bodyfile_create(const struct bodyfiles *b, uint64_t number);
int bodyfile_open(const struct bodyfiles *b, uint64_t number);
/* Makes the file and its name durable, when it has that size. Blocking.
 * -1 with why. */
int bodyfile_sync(int dir, uint64_t number, uint64_t size, struct fault *why);
/* Blocking. ENOENT is fine. */
void bodyfile_unlink(int dir, uint64_t number);

/* The message in the log has this body. */
void bodyfiles_add(struct bodyfiles *b, uint64_t seq, uint64_t number);
/* The message is over: which file may go; 0: none. */
uint64_t bodyfiles_take(struct bodyfiles *b, uint64_t seq);
/* Does a message in the log have it? */
bool bodyfiles_has(struct bodyfiles *b, uint64_t number);
/* Recovery: NULL when m's body is there, or the disk does not say; else what
 * is wrong (the file is set aside then). */
const char *bodyfiles_claim(void *ctx, const struct mail_record *m);

/* What becomes of files that no record names. */
enum orphans {
	ORPHANS_REMOVED,
	ORPHANS_SET_ASIDE, /* a damaged record may have named them */
	ORPHANS_LEFT       /* one that cannot be read now may name them */
};

/* Recovery: sees to the orphans; the highest number ever seen goes into
 * *highest when it is above it. */
int bodyfiles_sweep(struct bodyfiles *b, enum orphans orphans,
    uint64_t *highest, struct fault *why);

#endif
