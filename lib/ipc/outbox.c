#include "lib/ipc/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/alloc.h"

enum {
	KEEP_MAX = 262144, /* memory an empty outbox keeps */
	HARD_MAX = 1 << 30 /* full long before; a bug of ours beyond */
};

/* A descriptor to send with the frame that begins at offset. */
struct outbox_fd {
	size_t offset;
	int fd;
};

void
outbox_init(struct outbox *o)
{
	*o = (struct outbox){ .sent = 0 };
	buf_init(&o->bytes, HARD_MAX);
}

void
outbox_clear(struct outbox *o)
{
	for (size_t i = 0; i < o->nfds; i++)
		close(o->fds[i].fd);
	free(o->fds);
	if (o->secret && o->bytes.p != NULL)
		explicit_bzero(o->bytes.p, o->bytes.len);
	buf_clear(&o->bytes);
	outbox_init(o);
}

size_t
outbox_unsent(const struct outbox *o)
{
	return o->bytes.len - o->sent;
}

static int
add_fd(struct outbox *o, size_t offset, int fd)
{
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (o->nfds == o->fds_cap) {
		o->fds_cap = o->fds_cap * 2 + 4;
		o->fds = xreallocarray(o->fds, o->fds_cap, sizeof(o->fds[0]));
	}
	o->fds[o->nfds++] = (struct outbox_fd){ offset, fd };
	return 0;
}

int
outbox_add(struct outbox *o, struct frame f, const struct wire_msg *wire,
    const void *msg, size_t max)
{
	size_t start = o->bytes.len;
	int fd = -1;

	if (buf_reserve(&o->bytes, FRAME_HEADER) == NULL)
		return -1;
	buf_commit(&o->bytes, FRAME_HEADER);
	if (wire_encode(wire, msg, &o->bytes, &fd) != 0 ||
	    o->bytes.len - start - FRAME_HEADER > max ||
	    (fd >= 0 && add_fd(o, start, fd) != 0)) {
		o->bytes.len = start;
		o->bytes.failed = false;
		return -1;
	}
	f.len = (uint32_t)(o->bytes.len - start - FRAME_HEADER);
	f.flags = fd >= 0 ? FRAME_HAS_FD : 0;
	frame_encode(&f, (uint8_t *)o->bytes.p + start);
	return 0;
}

static void
first_fd_left(struct outbox *o)
{
	close(o->fds[0].fd);
	o->nfds--;
	memmove(o->fds, o->fds + 1, o->nfds * sizeof(o->fds[0]));
}

/* Up to the next frame with a descriptor. */
static ssize_t
send_plain(struct outbox *o, int fd)
{
	size_t upto = o->nfds > 0 ? o->fds[0].offset : o->bytes.len;

	return send(fd, o->bytes.p + o->sent, upto - o->sent,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The frame at the front, with its descriptor. */
static ssize_t
send_with_fd(struct outbox *o, int fd)
{
	const char *from = o->bytes.p + o->sent;
	struct iovec iov = { o->bytes.p + o->sent,
		FRAME_HEADER + get_le32((const uint8_t *)from) };

	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };

	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &o->fds[0].fd, sizeof(int));
	ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		first_fd_left(o); /* it went with the first byte */
	return n;
}

/* Gives the room of what has left back, without moving the rest each time. */
static void
forget_sent(struct outbox *o)
{
	if (outbox_unsent(o) > 0 && o->sent < o->bytes.len / 2)
		return;
	buf_drop(&o->bytes, o->sent);
	if (o->secret && o->sent > 0)
		explicit_bzero(o->bytes.p + o->bytes.len, o->sent);
	for (size_t i = 0; i < o->nfds; i++)
		o->fds[i].offset -= o->sent;
	o->sent = 0;
	if (o->bytes.len == 0 && o->bytes.cap > KEEP_MAX)
		buf_clear(&o->bytes);
}

int
outbox_send(struct outbox *o, int fd, uint64_t *calls)
{
	while (outbox_unsent(o) > 0) {
		bool with_fd = o->nfds > 0 && o->fds[0].offset == o->sent;
		ssize_t n = with_fd ? send_with_fd(o, fd) : send_plain(o, fd);
		++*calls;
		if (n > 0) {
			o->sent += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		/* The last: of our user more are on their way than we may have
		 * open. They get there. */
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS ||
				 errno == ETOOMANYREFS))
			break;
		return -1;
	}
	forget_sent(o);
	return 0;
}
