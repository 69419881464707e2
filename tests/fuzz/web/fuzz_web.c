/*
 * The HTTP endpoint: bytes of somebody hostile down a connection to it, in
 * pieces. The first byte says how long these are and (its highest bit) whether
 * he ends his side behind them, or goes away. It lives, nothing he said comes
 * back, and nobody is left over.
 */
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "edges/control_all.h"
#include "lib/base/log.h"
#include "tests/fuzz/rounds.h"
#include "web/from_control.h"
#include "web/guests.h"
#include "web/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 65536, PIECE_UNIT = 16, ROUNDS_MAX = 64 };

static struct loop *loop;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_len;

/* --- control: it answers all with a row or two --- */

static void
on_ask(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_gateway gateway = { .version = STR("0.1") };
	struct row_process process = { .role = STR("queue"), .ready = 1 };
	struct answer_done m = { .code = ANSWER_OK };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_gateway, &gateway, id);
	channel_tell(ch, TYPE_row_process, &process, id);
	channel_tell(ch, TYPE_answer_done, &m, id);
}

static const struct handler handlers[] = {
	{ TYPE_ask_status, on_ask },
	{ TYPE_ask_stats, on_ask },
	{ TYPE_ask_milters, on_ask },
	{ TYPE_ask_pauses, on_ask },
	{ TYPE_ask_submit_path, on_ask },
	{ 0, NULL },
};

static void
begin(void)
{
	int sv[2],
	    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	signal(SIGPIPE, SIG_IGN); /* as lib/proc/child.c does */
	log_set_fd(open("/dev/null", O_WRONLY), LOG_SINK_STREAM);
	loop = loop_new();
	/* In the abstract space: it goes with us. */
	int n = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
	    "postern-fuzz-web-%d", (int)getpid());
	address_len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	assert(bind(fd, (struct sockaddr *)&address, address_len) == 0);
	assert(listen(fd, 16) == 0);
	look_init(loop);
	server_init(loop);
	server_set(fd);
	assert(server_start() == 0);
	assert(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	(void)from_control_add(sv[0]);
	(void)channel_new(
	    loop, sv[1], &control_all_edge, EDGE_B, handlers, NULL, NULL);
}

/* Reads what it says. Is there more to come? */
static bool
hear(int fd)
{
	char bytes[65536];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	/* A word that is in none of its answers, and in many inputs. */
	if (n > 0)
		assert(memmem(bytes, (size_t)n, "e8v5i1l", 7) == NULL);
	return n != 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > INPUT_MAX)
		return 0;
	if (loop == NULL)
		begin();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t piece = ((data[0] & 0x7fU) + 1) * PIECE_UNIT;
	bool ends = (data[0] & 0x80) != 0, open = true;

	assert(connect(fd, (struct sockaddr *)&address, address_len) == 0);
	for (size_t at = 1; at < size && open; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		if (send(fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		round_once(loop);
		open = hear(fd);
	}
	if (ends)
		shutdown(fd, SHUT_WR);
	for (int i = 0; i < ROUNDS_MAX && ends && open; i++) {
		round_once(loop);
		open = hear(fd);
	}
	assert(!ends || !open);
	close(fd);
	for (int i = 0; i < ROUNDS_MAX && guests_count() > 0; i++)
		round_once(loop);
	assert(guests_count() == 0);
	return 0;
}
