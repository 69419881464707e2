/* Two processes: who takes the signals, and who does the work. */
#include "milters/common/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "milters/common/note.h"
#include "milters/common/options.h"

/* The worker's thread that reads the file anew: one byte on the pipe each. */
struct reloader {
	const struct filter *filter;
	const char *file;
	int fd;
};

static int
become(const char *user)
{
	const struct passwd *pw;

	if (user == NULL)
		return 0;
	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL) {
		note_warn("no user %s", user);
		return -1;
	}
	if (initgroups(user, pw->pw_gid) == -1 || setgid(pw->pw_gid) == -1 ||
	    setuid(pw->pw_uid) == -1) {
		note_warn("cannot become %s: %s", user, strerror(errno));
		return -1;
	}
	return 0;
}

/* --- the worker --- */

static void *
reload_thread(void *arg)
{
	const struct reloader *r = arg;
	char byte;

	for (;;) {
		ssize_t n = read(r->fd, &byte, 1);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (r->filter->load(r->file) == 0)
			note_info("%s read anew", r->file);
		else
			note_warn("%s is wrong, the old rules stay", r->file);
	}
	return NULL;
}

/* ready: gets a byte when the socket is there. Returns the exit status. */
static int
work(const struct filter *f, const struct options *o, int reload, int ready)
{
	struct reloader r = { f, o->file, reload };
	char socket[256];
	pthread_t thread;
	sigset_t all, before;

	if (snprintf(socket, sizeof(socket), "%s", o->socket) >=
	    (int)sizeof(socket)) {
		note_warn("socket name too long");
		return 1;
	}
	f->desc->xxfi_name = strdup(f->name);
	/* User and group may use it. */
	umask(007);
	if (smfi_setconn(socket) == MI_FAILURE ||
	    smfi_register(*f->desc) == MI_FAILURE ||
	    smfi_opensocket(true) == MI_FAILURE) {
		note_warn("cannot listen on %s", o->socket);
		return 1;
	}
	/* Signals are libmilter's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, reload_thread, &r) != 0) {
		note_warn("cannot make a thread");
		return 1;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (write(ready, "r", 1) != 1)
		note_warn("nobody waits for us");
	close(ready);
	note_info("ready socket=%s", o->socket);
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}

/* --- the watcher --- */

/* told: to end, which it may not have come to hear by itself. */
static int
exit_status(pid_t child, bool told)
{
	int status;

	while (waitpid(child, &status, 0) == -1)
		if (errno != EINTR)
			return 1;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (told && WTERMSIG(status) == SIGTERM)
		return 0;
	note_warn("ended by signal %d", WTERMSIG(status));
	return 1;
}

/* Hands the signals on until the worker is gone. */
static int
watch(pid_t child, int reload, const sigset_t *signals)
{
	bool told = false;

	for (;;) {
		int sig = 0;

		if (sigwait(signals, &sig) != 0)
			continue;
		if (sig == SIGHUP) {
			if (write(reload, "r", 1) != 1)
				note_warn("cannot tell the worker to reload");
		} else if (sig == SIGCHLD)
			return exit_status(child, told);
		else {
			told = true;
			kill(child, SIGTERM);
		}
	}
}

/* ready: as for work. */
static int
run(const struct filter *f, const struct options *o, int ready)
{
	pid_t parent = getpid(), child;
	sigset_t signals, before;
	int fds[2];

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, &before);
	if (pipe2(fds, O_CLOEXEC) == -1 || (child = fork()) == -1) {
		note_warn("cannot start: %s", strerror(errno));
		return 1;
	}
	if (child == 0) {
		close(fds[1]);
		sigprocmask(SIG_SETMASK, &before, NULL);
		/* Not without somebody who can end it. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		return getppid() == parent ? work(f, o, fds[0], ready) : 1;
	}
	close(fds[0]);
	close(ready);
	return watch(child, fds[1], &signals);
}

/* Leaves the terminal; who called goes on when the socket is there. */
static int
run_behind(const struct filter *f, const struct options *o)
{
	int fds[2], null;
	pid_t child;
	char byte;

	if (pipe2(fds, O_CLOEXEC) == -1 || (child = fork()) == -1) {
		note_warn("cannot start: %s", strerror(errno));
		return 1;
	}
	if (child > 0) {
		close(fds[1]);
		return read(fds[0], &byte, 1) == 1 ? 0 : 1;
	}
	close(fds[0]);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (setsid() == -1 || chdir("/") == -1 || null == -1 ||
	    dup2(null, 0) == -1 || dup2(null, 1) == -1 || dup2(null, 2) == -1)
		return 1;
	return run(f, o, fds[1]);
}

int
filter_main(const struct filter *f, int argc, char **argv)
{
	struct options o;
	int null;

	switch (options_parse(f, argc, argv, &o)) {
	case OPTIONS_RUN:
		break;
	case OPTIONS_DONE:
		return 0;
	case OPTIONS_WRONG:
		return 2;
	}
	note_init(f->name, true);
	if (f->load(o.file) == -1)
		return 1;
	if (o.check) {
		(void)printf("configuration OK\n");
		return 0;
	}
	if (become(o.user) == -1)
		return 1;
	if (!o.foreground) {
		note_init(f->name, false);
		return run_behind(f, &o);
	}
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return null == -1 ? 1 : run(f, &o, null);
}
