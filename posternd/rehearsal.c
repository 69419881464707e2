#include "posternd/rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "posternd/environment.h"
#include "posternd/handover.h"
#include "posternd/upgrade.h"

enum {
	TIME_MS = 60000,
	TEXT_MAX = 65536, /* of what it says */
	LINES_MAX = 100   /* of these in the log */
};

static struct {
	pid_t pid; /* 0: none */
	struct timer *timer;
	struct loop_fd *watch;
	int fd; /* what it says; -1: it has said all */
	struct buf said;
	bool reaped;
	int status;
	struct gateway *gw;
	rehearsal_fn *fn;
} run = { .fd = -1 };

/* --- which program --- */

/* What runs here, with the name that it has or had: a newer one may have
 * taken its place. */
static char *
own_file(void)
{
	static const char gone[] = " (deleted)";
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	size_t len = (size_t)n, end = sizeof(gone) - 1;
	if (len > end && strcmp(path + len - end, gone) == 0)
		path[len - end] = '\0';
	return xstrdup(path);
}

char *
rehearsal_program(const struct gateway *gw)
{
	/* A name that leads elsewhere by now is what the administrator means,
	 * as at a start. */
	if (strchr(gw->again[0], '/') != NULL &&
	    access(gw->again[0], X_OK) == 0)
		return xstrdup(gw->again[0]);
	char *own = own_file();
	return own != NULL ? own : xstrdup(gw->again[0]);
}

/* --- the end --- */

static void
clear(void)
{
	loop_fd_free(&run.watch);
	timer_free(&run.timer);
	if (run.fd != -1)
		close(run.fd);
	buf_clear(&run.said);
	run.fd = -1;
	run.pid = 0;
	run.reaped = false;
}

/* Each line of what it said. */
static void
log_said(void)
{
	struct str rest = buf_str(&run.said);
	for (int i = 0; i < LINES_MAX && rest.len > 0; i++) {
		struct str line = str_cut(&rest, '\n');
		if (line.len > 0)
			log_warn(NULL, "upgrade", "why=%s",
			    log_str(str_head(line, 1024)));
	}
}

static void
check_over(void)
{
	bool good;
	if (!run.reaped || run.fd != -1)
		return;
	good = WIFEXITED(run.status) && WEXITSTATUS(run.status) == 0;
	if (!good) {
		log_said();
		if (!WIFEXITED(run.status))
			log_warn(NULL, "upgrade", "signal=%d why=%s",
			    WTERMSIG(run.status),
			    log_cstr("the new program died"));
		else if (run.said.len == 0)
			log_warn(NULL, "upgrade", "status=%d why=%s",
			    WEXITSTATUS(run.status),
			    log_cstr("the new program cannot be run"));
	}
	clear();
	run.fn(run.gw, good);
}

static void
on_said(void *ctx, int what)
{
	char room[4096];
	ssize_t n = read(run.fd, room, sizeof(room));
	(void)ctx;
	(void)what;
	if (n > 0) {
		if (run.said.len < TEXT_MAX - sizeof(room))
			buf_add(&run.said, room, (size_t)n);
		return;
	}
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	loop_fd_free(&run.watch);
	close(run.fd);
	run.fd = -1;
	check_over();
}

static void
on_timer(void *ctx)
{
	(void)ctx;
	log_warn(NULL, "upgrade", "why=%s",
	    log_cstr("the new program does not come to an end"));
	kill(run.pid, SIGKILL);
}

bool
rehearsal_reap(struct gateway *gw, pid_t pid, int status)
{
	(void)gw;
	if (pid != run.pid || run.pid == 0)
		return false;
	run.reaped = true;
	run.status = status;
	timer_stop(run.timer);
	/* What it said may still lie in the pipe. */
	check_over();
	return true;
}

void
rehearsal_cancel(void)
{
	if (run.pid != 0 && !run.reaped)
		kill(run.pid, SIGKILL);
	clear();
}

/* --- the beginning --- */

/* In the new process. */
static _Noreturn void
perform(const char *program, char *const *argv, char *const *env, int out)
{
	if (dup2(out, STDOUT_FILENO) == -1 || dup2(out, STDERR_FILENO) == -1)
		_exit(127);
	/* It has our sockets: without us nobody is to wait in them. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	environment_inherit(false);
	environment_release_signals();
	execve(program, argv, env);
	dprintf(STDERR_FILENO, "%s: %s\n", program, strerror(errno));
	_exit(127);
}

/* The gateway's, and -n behind the name. */
static const char **
arguments(const struct gateway *gw)
{
	size_t n = 0;
	while (gw->again[n] != NULL)
		n++;
	const char **argv = xcalloc(n + 2, sizeof(*argv));
	argv[0] = gw->again[0];
	argv[1] = "-n";
	for (size_t i = 1; i < n; i++)
		argv[i + 1] = gw->again[i];
	return argv;
}

static pid_t
fork_off(const struct gateway *gw, int out)
{
	char *program = rehearsal_program(gw);
	const char **argv = arguments(gw);
	struct handover h;
	struct fault why = { 0 };
	pid_t pid = -1;
	upgrade_describe(gw, &h);
	/* It is for a look. */
	h.ntickets = 0;
	int fd = handover_write(&h, &why);
	char **env = environment_of_successor(HANDOVER_VARIABLE, fd);
	log_info(NULL, "upgrade", "check=%s", log_cstr(program));
	log_flush();
	if (fd != -1)
		pid = fork();
	if (pid == 0)
		perform(program, (char *const *)(uintptr_t)argv, env, out);
	handover_take_back(&h, fd);
	handover_clear(&h);
	environment_free(env);
	free(argv);
	free(program);
	return pid;
}

int
rehearsal_start(struct gateway *gw, rehearsal_fn *fn)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) == -1) {
		log_warn(NULL, "upgrade", "why=%s", log_cstr(strerror(errno)));
		return -1;
	}
	run.pid = fork_off(gw, ends[1]);
	close(ends[1]);
	if (run.pid == -1) {
		log_warn(NULL, "upgrade", "why=%s", log_cstr(strerror(errno)));
		close(ends[0]);
		run.pid = 0;
		return -1;
	}
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	run.gw = gw;
	run.fn = fn;
	run.fd = ends[0];
	buf_init(&run.said, TEXT_MAX);
	run.watch = loop_fd_new(gw->loop, run.fd, on_said, NULL);
	loop_fd_want(run.watch, LOOP_READ);
	run.timer = timer_new(gw->loop, on_timer, NULL);
	timer_set(run.timer, TIME_MS);
	return 0;
}
