/* Frames on their way out of a channel, with their descriptors. */
#ifndef POSTERN_IPC_OUTBOX_H
#define POSTERN_IPC_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/ipc/frame.h"
#include "lib/ipc/wire.h"

struct outbox_fd;

struct outbox {
	struct buf bytes;
	size_t sent; /* bytes at the front that have left */
	struct outbox_fd *fds;
	size_t nfds, fds_cap;
	bool secret; /* what has left is wiped */
};

void outbox_init(struct outbox *o);
/* Frees all, closes descriptors that have not left. */
void outbox_clear(struct outbox *o);
/* Bytes that have not left. */
size_t outbox_unsent(const struct outbox *o);
/* Appends a frame around msg; f's len and flags are filled in here. A
 * descriptor in msg is duplicated. -1 when msg does not fit its field list,
 * max bytes, or there is no descriptor left. */
int outbox_add(struct outbox *o, struct frame f, const struct wire_msg *wire,
    const void *msg, size_t max);
/* Sends what the socket takes: many frames a call, one with a descriptor in
 * a call of its own. Counts its calls in *calls. Returns 0, or -1 with errno
 * when the other side is gone. */
int outbox_send(struct outbox *o, int fd, uint64_t *calls);

#endif
