/*
 * A gateway that always says the same, as a child process with one channel;
 * and a command run against it: what is printed and the exit status.
 */
#ifndef POSTERN_TESTS_UNIT_POSTERNCTL_GATEWAY_H
#define POSTERN_TESTS_UNIT_POSTERNCTL_GATEWAY_H

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edges/control_all.h"
#include "posternctl/commands.h"
#include "posternctl/out.h"

#define ID "0Kx3f9aBcDeFgHiJ"

static char dir[] = "/tmp/test_posternctl.XXXXXX";
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static pid_t gateway;

static void
done(struct channel *ch, uint64_t id, enum answer_code code, const char *text)
{
	struct answer_done m = { .code = (uint8_t)code,
		.text = str_of(text),
		.matched = code == ANSWER_OK ? 2 : 0,
		.changed = code == ANSWER_OK ? 1 : 0,
		.operation = 7 };

	channel_tell(ch, TYPE_answer_done, &m, id);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	_exit(0);
}

/* What it answers is of the test; handlers get a bool of their
 * connection, false at first. */
static void
start_gateway(const struct handler *handlers)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool is_empty = false;

	ck_assert(mkdtemp(dir) != NULL);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	ck_assert_int_eq(
	    bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	gateway = fork();
	/* No check in the child: it would write into what the parent keeps of
	 * its own. */
	if (gateway != 0) {
		ck_assert_int_ne(gateway, -1);
		close(fd);
		return;
	}
	/* One connection after the other, each in a process of its own. */
	signal(SIGCHLD, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int conn = accept(fd, NULL, NULL);
		if (conn >= 0 && fork() == 0) {
			struct loop *l = loop_new();
			channel_new(l, conn, &control_all_edge, EDGE_B,
			    handlers, on_closed, &is_empty);
			loop_run(l);
		}
		close(conn);
	}
}

static void
stop_gateway(void)
{
	kill(gateway, SIGKILL);
	waitpid(gateway, NULL, 0);
	unlink(address.sun_path);
	rmdir(dir);
}

/* Runs words (blank separated) and compares; printed NULL: do not care. */
static void
expect(const char *line, bool is_json, int status, const char *printed)
{
	static const struct command none = { .usage = "" };
	char copy[256], *words[32];
	size_t n = 0;
	int used = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
		words[n++] = w;
	words[n] = NULL;
	const struct command *c = command_find((int)n, words, &used);
	ck_assert(c != NULL && c->run != NULL);
	struct call call = { .socket = address.sun_path,
		.json = is_json,
		.argc = (int)n - used,
		.argv = words + used,
		.command = &none };
	int got = c->run(&call);
	struct buf *out = out_buf();
	ck_assert_msg(printed == NULL || str_eq(buf_str(out), str_of(printed)),
	    "%s printed\n%.*s", line, (int)out->len, out->p);
	ck_assert_msg(got == status, "%s ended with %d", line, got);
	buf_reset(out);
}

/* What a filter is shown comes from standard input. */
__attribute__((unused)) static void
give(const char *mail)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(
	    (int)write(fds[1], mail, strlen(mail)), (int)strlen(mail));
	close(fds[1]);
	ck_assert_int_eq(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	close(fds[0]);
}

#endif
