/* Connections to next hops that are Unix sockets, which the dialer makes. */
#ifndef POSTERN_DELIVERY_FROM_DIALER_H
#define POSTERN_DELIVERY_FROM_DIALER_H

#include "lib/base/loop.h"
#include "lib/ipc/channel.h"

struct dial_wait {
	uint64_t id; /* 0: waits for nothing */
	/* Once, from the loop. fd: connected or on its way, the callee's; -1:
	 * why not. */
	void (*fn)(void *ctx, int fd, const char *why);
	void *ctx;
};

/* A socket to the dialer; what the one before owed an answer has failed. */
struct channel *from_dialer_open(struct loop *l, int socket);
/* fn is called once, never before this returned. */
void from_dialer_ask(const char *action, const char *path, struct dial_wait *w);
/* w waits no longer, if it did. */
void from_dialer_cancel(struct dial_wait *w);

#endif
