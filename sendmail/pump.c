/* Bytes both ways. Neither way waits for the other, or both would for ever. */
#include "sendmail/pump.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ROOM = 65536,
	/* What a pipe that is ready for writing takes for sure. */
	PIECE = 4096
};

struct way {
	int from, to;
	size_t begin, end; /* of what is on its way */
	bool is_ended;     /* nothing comes from there */
	char room[ROOM];
};

static bool
has_room(const struct way *w)
{
	return !w->is_ended && w->begin == w->end;
}

static int
fill(struct way *w)
{
	ssize_t n = read(w->from, w->room, sizeof(w->room));

	if (n == -1)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	w->begin = 0;
	w->end = (size_t)n;
	w->is_ended = n == 0;
	return 0;
}

static int
empty(struct way *w)
{
	size_t n = w->end - w->begin;
	ssize_t done = write(w->to, w->room + w->begin, n < PIECE ? n : PIECE);

	if (done == -1)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	w->begin += (size_t)done;
	return 0;
}

/* One round; what polls have to say about the two ends of w. */
static int
move(struct way *w, const struct pollfd *from, const struct pollfd *to)
{
	if (has_room(w) && (from->revents & ~POLLOUT) != 0 && fill(w) == -1)
		return -1;
	if (w->begin < w->end && (to->revents & ~POLLIN) != 0 && empty(w) == -1)
		return -1;
	return 0;
}

static struct pollfd
watch(int fd, short events)
{
	/* Nothing to wait for: also no end. */
	return (struct pollfd){ .fd = events == 0 ? -1 : fd, .events = events };
}

static int
converse(struct way *in, struct way *out, int fd)
{
	bool is_told = false;  /* the gateway knows that nothing comes */
	bool may_talk = false; /* it speaks first (RFC 5321 4.3.1), whatever
				* waits for it */

	while (!out->is_ended || out->begin < out->end) {
		short socket_events =
		    (short)((has_room(out) ? POLLIN : 0) |
			    (in->begin < in->end ? POLLOUT : 0));
		struct pollfd p[] = {
			watch(STDIN_FILENO,
			    may_talk && has_room(in) ? POLLIN : 0),
			watch(
			    STDOUT_FILENO, out->begin < out->end ? POLLOUT : 0),
			watch(fd, socket_events),
		};
		if (poll(p, 3, -1) == -1 && errno != EINTR)
			return -1;
		if (move(in, &p[0], &p[2]) == -1) {
			/* It said why, and closed. */
			in->is_ended = true;
			in->begin = in->end;
		}
		if (move(out, &p[2], &p[1]) == -1)
			return -1;
		may_talk = may_talk || out->end > 0;
		if (in->is_ended && in->begin == in->end && !is_told) {
			is_told = true;
			shutdown(fd, SHUT_WR);
		}
	}
	return 0;
}

int
pump_run(int fd)
{
	static struct way in, out;

	in = (struct way){ .from = STDIN_FILENO, .to = fd };
	out = (struct way){ .from = fd, .to = STDOUT_FILENO };
	int result = converse(&in, &out, fd);
	int error = errno;
	close(fd);
	errno = error;
	return result;
}
