/*
 * What the two files of a channel share: channel.c (its life, the way out) and
 * channel_in.c (the way in). Nobody else includes this.
 */
#ifndef POSTERN_IPC_CHANNEL_INSIDE_H
#define POSTERN_IPC_CHANNEL_INSIDE_H

#include "lib/ipc/channel.h"
#include "lib/ipc/inbox.h"
#include "lib/ipc/outbox.h"
#include "lib/ipc/pending.h"

enum {
	READ_SIZE = 262144, /* bytes one recvmsg may bring */
	READS_A_ROUND = 4,  /* then the others have their turn */
	TYPE_HELLO = 0,
	ROWS_MAX = 64 /* messages of one edge */
};

/* The first message each way. */
#define HELLO(F) F(u64, hash, UINT64_MAX) /* of the edge as built here */
WIRE_DECLARE(hello, HELLO)

struct channel {
	struct loop *loop;
	struct channel_totals *totals; /* of all channels */
	struct loop_fd *watch;         /* NULL: closed */
	int fd;
	const struct edge *edge;
	enum edge_end end;
	enum edge_phase phase;
	char *peer;
	const char *breach; /* why we closed it; NULL: we did not */
	const struct handler *handlers;
	handler_fn *by_type[ROWS_MAX + 1];
	channel_closed_fn *closed, *ended;
	void *ctx, *ended_ctx;
	uint64_t seen; /* bit per type that came already */
	uint64_t next_id;
	struct pending pending, unsent; /* unsent: it did not fit */
	struct outbox out;
	struct inbox in;
	bool greeted; /* the peer's hello was seen and is ours */
	bool was_full, paused, failing, freed;
	void (*drained)(void *);
	void *drained_ctx;
	void (*quiet)(void *);
	void *quiet_ctx;
	struct deferred flush, fail, release, calm;
};

/* --- channel.c --- */

/* Closes the descriptors now and says so after the round. why NULL: the
 * peer's orderly end. */
void channel_fail(struct channel *ch, const char *why);
/* p is no more than rubbish, if what is said here is secret. */
void channel_wipe(const struct channel *ch, void *p, size_t len);

/* --- channel_in.c --- */

/* Takes what the peer has said; may end the channel. */
void channel_read(struct channel *ch);
/* New bytes, or none: whole frames are handled where they lie, the rest is
 * kept. */
void channel_take(struct channel *ch, struct str s);

#endif
