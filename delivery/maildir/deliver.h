/* One work of the queue: each recipient's Maildir, one after the other. */
#ifndef POSTERN_MAILDIR_DELIVER_H
#define POSTERN_MAILDIR_DELIVER_H

#include "delivery/agents/local_work.h"

/* Does it, which may block, and tells the queue each result and the end. */
void deliver(struct local_work *w, struct channel *queue);

#endif
