/* Standard output without waiting. */
#include "posternctl/out.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "posternctl/text.h"

enum {
	WORTH_A_CALL = 32768,
	/* What a pipe that is ready for writing takes for sure. */
	PIECE = 4096
};

static struct buf gathered = { .max = SIZE_MAX / 2 };
static size_t done; /* bytes of it that left */
static int failed;  /* errno */

struct buf *
out_buf(void)
{
	return &gathered;
}

static void
write_some(size_t most)
{
	size_t left = gathered.len - done;
	ssize_t n =
	    write(STDOUT_FILENO, gathered.p + done, left < most ? left : most);

	if (n > 0)
		done += (size_t)n;
	else if (n == -1 && errno != EINTR && errno != EAGAIN)
		failed = errno;
	/* Seldom, because it moves the rest. */
	if (done == gathered.len) {
		buf_reset(&gathered);
		done = 0;
	} else if (done > gathered.len / 2 && done > (size_t)1024 * 1024) {
		buf_drop(&gathered, done);
		done = 0;
	}
}

static bool
is_ready(int wait_ms)
{
	struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&p, 1, wait_ms) == 1;
}

int
out_turn(void)
{
	if (gathered.len - done < WORTH_A_CALL)
		return 0;
	while (failed == 0 && gathered.len > done && is_ready(0))
		write_some(PIECE);
	return failed == 0 ? 0 : -1;
}

int
out_now(void)
{
	while (failed == 0 && gathered.len > done && is_ready(-1))
		write_some(SIZE_MAX);
	if (gathered.failed && failed == 0)
		failed = ENOMEM;
	return failed == 0 ? 0 : -1;
}

int
out_end(void)
{
	if (out_now() == -1) {
		fprintf(stderr, "posternctl: standard output: %s\n",
		    strerror(failed));
		return -1;
	}
	buf_clear(&gathered);
	return 0;
}

void
out_say(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_wrap_to_terminal(out_buf(), str_of(text), 4);
}

void
out_field(const char *name, struct str value)
{
	struct buf line = { .max = SIZE_MAX / 2 };

	buf_addf(&line, "%-10s", name);
	text_add(&line, value);
	text_wrap_line(out_buf(), &line, 10);
	buf_clear(&line);
}
