/* Opens a body file so that passing it on cannot fail for want of a place. */
#include "queue/body_pass.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "queue/store.h"

int
body_pass_open(struct store *s, uint64_t bodyfile, struct body_pass *b)
{
	int error;

	*b = (struct body_pass){ -1, -1 };
	if (bodyfile == 0)
		return 0;
	b->fd = store_bodyfile_open(s, bodyfile);
	if (b->fd == -1)
		return -1;
	b->spare = fcntl(b->fd, F_DUPFD_CLOEXEC, 0);
	if (b->spare != -1)
		return 0;
	error = errno;
	body_pass_close(b);
	errno = error;
	return -1;
}

int
body_pass_fd(struct body_pass *b)
{
	if (b->spare != -1)
		close(b->spare);
	b->spare = -1;
	return b->fd;
}

void
body_pass_close(struct body_pass *b)
{
	if (b->fd != -1)
		close(b->fd);
	if (b->spare != -1)
		close(b->spare);
	*b = (struct body_pass){ -1, -1 };
}
