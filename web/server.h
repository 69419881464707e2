/* The HTTP endpoint: three pages to read, and nothing else. */
#ifndef POSTERN_WEB_SERVER_H
#define POSTERN_WEB_SERVER_H

#include "lib/base/loop.h"

enum {
	SERVER_HEADERS_MAX = 8192, /* of a request, all of them */
	SERVER_BODY_MAX = 4096     /* nobody looks at it */
};

/* Before the jail. */
void server_init(struct loop *l);
/* fd listens and is taken over. */
void server_set(int fd);
/* 0, or -1: there is no socket. */
int server_start(void);
/* Lets in who waits at the door, shuts it, answers all of them, and then calls
 * back, perhaps at once. */
void server_end(void (*on_end)(void));
/* Nobody comes in any more, and who is there goes; for tests. */
void server_stop(void);

#endif
