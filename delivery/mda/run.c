#include "delivery/mda/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum {
	ROOM = 65536,
	READS_MAX = 16, /* of its output, in a row */
	CHILD_NOFILE = 1024
};

struct run {
	struct loop *loop;
	run_fn *fn;
	void *ctx;
	pid_t pid;                /* also the number of its group */
	int pidfd, input, output; /* -1: closed */
	struct loop_fd *on_exit, *on_input, *on_output;
	struct timer *timer; /* until it is asked to end, then made to */
	struct mail_text text;
	size_t at, nroom; /* of room, what is to be written */
	enum run_end end;
	bool ending; /* it was asked to */
	size_t noutput;
	char caught[RUN_OUTPUT_MAX];
	char room[ROOM];
};

/* --- the new process, until exec: only what is safe after fork --- */

static void
reset_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The role's own bounds are soft ones. */
static void
reset_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_AS, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_AS, &rl);
	}
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur =
		    rl.rlim_max < CHILD_NOFILE ? rl.rlim_max : CHILD_NOFILE;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static void
write_error(const char *text)
{
	ssize_t n = write(STDERR_FILENO, text, strlen(text));

	(void)n;
}

static _Noreturn void
become(const struct run_order *o, int input, int output, pid_t parent)
{
	/* With us its mail ends in the middle. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 ||
	    getppid() != parent || setsid() == -1 ||
	    dup2(input, STDIN_FILENO) == -1 ||
	    dup2(output, STDOUT_FILENO) == -1 ||
	    dup2(output, STDERR_FILENO) == -1 ||
	    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		_exit(127);
	umask(077);
	if (chdir(o->folder) == -1 && chdir("/") == -1)
		_exit(127);
	reset_limits();
	reset_signals();
	execve(o->argv[0], o->argv, o->envp);
	write_error("cannot run ");
	write_error(o->argv[0]);
	write_error(": ");
	write_error(strerrordesc_np(errno));
	_exit(127);
}

/* --- what becomes of it --- */

static void
close_input(struct run *r)
{
	loop_fd_free(&r->on_input);
	if (r->input != -1)
		(void)close(r->input);
	r->input = -1;
}

static void
close_output(struct run *r)
{
	loop_fd_free(&r->on_output);
	if (r->output != -1)
		(void)close(r->output);
	r->output = -1;
}

static void
run_free(struct run *r)
{
	close_input(r);
	close_output(r);
	loop_fd_free(&r->on_exit);
	if (r->pidfd != -1)
		(void)close(r->pidfd);
	timer_free(&r->timer);
	free(r);
}

/* While it was not waited for its number is nobody else's. */
static void
kill_group(const struct run *r, int sig)
{
	if (kill(-r->pid, sig) == -1)
		(void)kill(r->pid, sig);
}

/* Asked, since the loop may be wrong: a new process has our descriptors until
 * it execs, and for so long the kernel tells of one that we have closed, under
 * its number, which is another's by now. */
static bool
has_exited(const struct run *r)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)r->pid, &info,
		   WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == r->pid;
}

static void
ask_to_end(struct run *r, enum run_end why)
{
	if (r->ending)
		return;
	/* The end of its input would look like the mail's: it stays open. */
	if (r->on_input != NULL)
		loop_fd_want(r->on_input, 0);
	/* By itself, before we asked: what its status says holds. */
	if (has_exited(r))
		return;
	r->ending = true;
	r->end = why;
	timer_set(r->timer, RUN_KILL_MS);
	kill_group(r, SIGTERM);
}

static void
on_timer(void *ctx)
{
	struct run *r = ctx;

	if (r->ending)
		kill_group(r, SIGKILL);
	else
		ask_to_end(r, RUN_TIMED_OUT);
}

/* --- its input --- */

/* 0: there is something to write; 1: it was all; -1. */
static int
fill(struct run *r)
{
	ssize_t n;

	if (r->at < r->nroom)
		return 0;
	n = mail_text_read(&r->text, r->room, sizeof(r->room));
	if (n == -1)
		return -1;
	r->at = 0;
	r->nroom = (size_t)n;
	return n == 0;
}

static void
on_writable(void *ctx, int what)
{
	struct run *r = ctx;
	ssize_t n;

	(void)what;
	switch (fill(r)) {
	case 1:
		close_input(r);
		return;
	case -1:
		ask_to_end(r, RUN_UNREADABLE);
		kill_group(r, SIGKILL);
		return;
	default:
		break;
	}
	n = write(r->input, r->room + r->at, r->nroom - r->at);
	if (n > 0)
		r->at += (size_t)n;
	else if (n == -1 && errno != EAGAIN && errno != EINTR)
		/* It does not want the rest; its status says what it makes of
		 * what it has. */
		close_input(r);
}

/* --- its output --- */

/* True: there may be more. */
static bool
read_output(struct run *r)
{
	static char rest[ROOM];
	size_t left = sizeof(r->caught) - r->noutput;
	ssize_t n;

	do
		n = left > 0 ? read(r->output, r->caught + r->noutput, left) :
			       read(r->output, rest, sizeof(rest));
	while (n == -1 && errno == EINTR);
	if (n > 0 && left > 0)
		r->noutput += (size_t)n;
	if (n == 0 || (n == -1 && errno != EAGAIN))
		close_output(r);
	return n > 0;
}

static void
on_readable(void *ctx, int what)
{
	(void)what;
	(void)read_output(ctx);
}

/* --- its end --- */

static void
on_exited(void *ctx, int what)
{
	struct run *r = ctx;
	int status = 0;

	(void)what;
	if (!has_exited(r))
		return;
	/* What it has left running keeps its output open, and may. */
	for (int i = 0; i < READS_MAX && r->output != -1; i++)
		if (!read_output(r))
			break;
	if (r->ending)
		kill_group(r, SIGKILL);
	while (waitpid(r->pid, &status, 0) == -1 && errno == EINTR)
		continue;
	r->fn(r->ctx, r->end, status, (struct str){ r->caught, r->noutput });
	run_free(r);
}

/* --- its beginning --- */

static int
make_pipe(int fds[2], int ours)
{
	int flags;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return -1;
	flags = fcntl(fds[ours], F_GETFL);
	if (flags != -1 && fcntl(fds[ours], F_SETFL, flags | O_NONBLOCK) != -1)
		return 0;
	(void)close(fds[0]);
	(void)close(fds[1]);
	return -1;
}

static void
close_both(const int fds[2])
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* The process, and a descriptor that tells of its end; -1 with errno. */
static pid_t
start_process(const struct run_order *o, int input, int output, int *pidfd)
{
	pid_t parent = getpid(), pid;

	log_flush();
	pid = fork();
	if (pid == 0)
		become(o, input, output, parent);
	if (pid == -1)
		return -1;
	*pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (*pidfd != -1)
		return pid;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	errno = EMFILE;
	return -1;
}

struct run *
run_start(struct loop *l, const struct run_order *o, run_fn *fn, void *ctx,
    struct fault *why)
{
	int in[2], out[2], pidfd;
	struct run *r;
	pid_t pid;

	if (make_pipe(in, 1) == -1) {
		(void)fault_errno(why, FAULT_OURS, "pipe");
		return NULL;
	}
	if (make_pipe(out, 0) == -1) {
		(void)fault_errno(why, FAULT_OURS, "pipe");
		close_both(in);
		return NULL;
	}
	pid = start_process(o, in[0], out[1], &pidfd);
	if (pid == -1) {
		(void)fault_errno(why, FAULT_OURS, "a new process");
		close_both(in);
		close_both(out);
		return NULL;
	}
	(void)close(in[0]);
	(void)close(out[1]);
	r = xmalloc(sizeof(*r));
	memset(r, 0, offsetof(struct run, caught));
	r->loop = l;
	r->fn = fn;
	r->ctx = ctx;
	r->pid = pid;
	r->pidfd = pidfd;
	r->input = in[1];
	r->output = out[0];
	r->text = *o->text;
	r->on_exit = loop_fd_new(l, pidfd, on_exited, r);
	r->on_input = loop_fd_new(l, r->input, on_writable, r);
	r->on_output = loop_fd_new(l, r->output, on_readable, r);
	loop_fd_want(r->on_exit, LOOP_READ);
	loop_fd_want(r->on_input, LOOP_WRITE);
	loop_fd_want(r->on_output, LOOP_READ);
	r->timer = timer_new(l, on_timer, r);
	timer_set(r->timer, o->timeout_ms);
	return r;
}

void
run_stop(struct run *r)
{
	ask_to_end(r, RUN_STOPPED);
}

void
run_kill(struct run **rp)
{
	struct run *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	kill_group(r, SIGKILL);
	while (waitpid(r->pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	run_free(r);
}
