/* A body file on its way to another process. */
#ifndef POSTERN_QUEUE_BODY_PASS_H
#define POSTERN_QUEUE_BODY_PASS_H

#include <stdint.h>

struct store;

/* The descriptor, and a second one that keeps a place free for the channel's
 * duplicate, so that what was begun can be ended. */
struct body_pass {
	int fd, spare;
};

/* bodyfile 0: there is none, which is fine. -1 with errno. */
int body_pass_open(struct store *s, uint64_t bodyfile, struct body_pass *b);
/* To be told now; -1: there is none. */
int body_pass_fd(struct body_pass *b);
void body_pass_close(struct body_pass *b);

#endif
