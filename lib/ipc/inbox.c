#include "lib/ipc/inbox.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
inbox_init(struct inbox *in, size_t max)
{
	buf_init(&in->bytes, max);
	in->fd = -1;
	in->fd_lost = false;
}

void
inbox_clear(struct inbox *in)
{
	buf_clear(&in->bytes);
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
}

bool
inbox_has_fd(const struct inbox *in)
{
	return in->fd >= 0 || in->fd_lost;
}

/* Takes descriptors from a received message; too many break the contract. The
 * kernel gives none at all when our table of them is full. */
static const char *
take_fds(struct inbox *in, struct msghdr *m)
{
	const char *why = NULL;

	if ((m->msg_flags & MSG_CTRUNC) != 0) {
		in->fd_lost = CMSG_FIRSTHDR(m) == NULL;
		why = in->fd_lost ? NULL : "too many descriptors";
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL;
	     c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (in->fd < 0 && why == NULL) {
				in->fd = fd;
			} else {
				close(fd);
				why = "too many descriptors";
			}
		}
	}
	return why;
}

ssize_t
inbox_receive(
    struct inbox *in, int socket, char *room, size_t size, const char **why)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = { room, size };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };

	ssize_t n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	*why = n > 0 ? take_fds(in, &m) : NULL;
	return n;
}
