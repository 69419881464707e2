/* The submit socket: who knows where it is, and a connection to it. */
#include "submit/connecting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "edges/control_all.h"

#define USUAL_SUBMIT "/run/postern/submit.sock"

/* control knows it without asking anybody. */
enum {
	SILENCE_MS = 10000,
	/* Until a gateway that stands still has room for a caller. */
	CONNECT_S = 60
};

int
connect_to(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct timeval t = { .tv_sec = CONNECT_S };

	if (strlen(path) >= sizeof(un.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(un.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	if (connect(fd, (const struct sockaddr *)&un, sizeof(un)) == -1) {
		int error = errno == EAGAIN ? ETIMEDOUT : errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

struct finding {
	struct loop *loop;
	struct buf *out;
};

static void
on_path(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct finding *f = ctx;
	const struct row_text *row = msg;

	(void)ch;
	(void)id;
	buf_reset(f->out);
	buf_add_str(f->out, row->text);
}

static const struct handler handlers[] = { { TYPE_row_text, on_path },
	{ 0, NULL } };

static void
on_closed(void *ctx, struct channel *ch)
{
	struct finding *f = ctx;

	(void)ch;
	loop_stop(f->loop);
}

static void
on_silence(void *ctx)
{
	struct finding *f = ctx;

	loop_stop(f->loop);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct finding *f = ctx;

	(void)fault;
	(void)type;
	(void)msg;
	loop_stop(f->loop);
}

static void
ask(int fd, struct buf *out)
{
	struct ask_submit_path m = { 0 };
	struct finding f = { .loop = loop_new(), .out = out };
	struct timer *silence = timer_new(f.loop, on_silence, &f);
	struct channel *ch = channel_new(
	    f.loop, fd, &control_all_edge, EDGE_A, handlers, on_closed, &f);

	channel_set_peer(ch, "control");
	timer_set(silence, SILENCE_MS);
	channel_ask(ch, TYPE_ask_submit_path, &m, on_answer, &f);
	loop_run(f.loop);
	channel_free(&ch);
	timer_free(&silence);
	loop_settle(f.loop);
	loop_free(&f.loop);
}

void
connect_find(const char *control, struct buf *out)
{
	int fd = connect_to(control);
	const char *path;

	if (fd != -1)
		ask(fd, out);
	if (out->len == 0) {
		path = secure_getenv("POSTERN_SUBMIT");
		if (path == NULL || path[0] == '\0')
			path = USUAL_SUBMIT;
		buf_add_str(out, str_of(path));
	}
	buf_add_char(out, '\0');
}
