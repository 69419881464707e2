/* What came into a channel and has not been handled: the start of a frame, and
 * the descriptor that some frame claims. */
#ifndef POSTERN_IPC_INBOX_H
#define POSTERN_IPC_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/buf.h"

struct inbox {
	struct buf bytes; /* the start of a frame that has not all come */
	int fd;           /* came, its frame has not been handled yet; or -1 */
	bool fd_lost;     /* it came, but there was no room for it here */
};

void inbox_init(struct inbox *in, size_t max);
/* Frees the bytes, closes the descriptor. */
void inbox_clear(struct inbox *in);
/* Is there a descriptor, or was there one, for a frame that comes? */
bool inbox_has_fd(const struct inbox *in);
/* One recvmsg into room; a descriptor with it is kept here. Returns bytes, 0
 * at the end, -1 with errno. *why: how what came breaks the contract, or
 * NULL. */
ssize_t inbox_receive(
    struct inbox *in, int socket, char *room, size_t size, const char **why);

#endif
