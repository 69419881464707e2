/* Connections to next hops that are Unix sockets, which the dialer makes. */
#ifndef POSTERN_DELIVERY_FROM_DIALER_H
#define POSTERN_DELIVERY_FROM_DIALER_H

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/ipc/channel.h"

/* One who waits for a connection; embedded in its owner. */
struct dial_wait {
	TAILQ_ENTRY(dial_wait) entry; /* of those asked, or of those nobody
				       * can answer */
	uint64_t id; /* 0: waits for nothing; UINT64_MAX: nobody was there */
	/* Once, from the loop. fd: connected or on its way, the callee's; -1:
	 * why not. */
	void (*fn)(void *ctx, int fd, const char *why);
	void *ctx;
};

void from_dialer_init(struct loop *l);
/* A socket to the dialer; what the one before owed an answer has failed. */
struct channel *from_dialer_open(int socket);
/* Ends the channel. */
void from_dialer_close(void);
/* fn is called once, never before this returned. */
void from_dialer_ask(const char *action, const char *path, struct dial_wait *w);
/* w waits no longer, if it did. */
void from_dialer_cancel(struct dial_wait *w);

#endif
