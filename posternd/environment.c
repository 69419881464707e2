#include "posternd/environment.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

static const char *const kept[] = { "LD_PRELOAD", "ASAN_OPTIONS",
	"UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS" };

enum { NKEPT = sizeof(kept) / sizeof(kept[0]) };

static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
static char *variables[NKEPT + 2] = { path, NULL };

char *const *
environment_of_children(void)
{
	return variables;
}

/* Of the kernel's choice when memory runs out: from -1000 (never) to 1000. */
static const char oom_path[] = "/proc/self/oom_score_adj";
static const char oom_parent[] = "-900", oom_queue[] = "-800";
/* What the others have; empty: all stays as it is. */
static char oom_others[24];

static int
write_oom(const char *score)
{
	int fd = open(oom_path, O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	ssize_t n = write(fd, score, strlen(score));
	close(fd);
	return n == -1 ? -1 : 0;
}

void
environment_protect(void)
{
	char had[8] = "";
	int fd = open(oom_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, had, sizeof(had) - 1);
	if (fd != -1)
		close(fd);
	if (n <= 0)
		return;
	/* What the service manager gave is for the parent alone. */
	long score = strtol(had, NULL, 10);
	if (score > strtol(oom_parent, NULL, 10) &&
	    write_oom(oom_parent) == -1) {
		log_debug(NULL, "start", "why=%s",
		    log_cstr("no protection when memory runs out"));
		return;
	}
	snprintf(oom_others, sizeof(oom_others), "%ld", score < 0 ? 0 : score);
}

void
environment_inherit(bool is_protected)
{
	if (oom_others[0] != '\0')
		(void)write_oom(is_protected ? oom_queue : oom_others);
}

static void
keep_variables(void)
{
	size_t n = 1;
	for (size_t i = 0; i < NKEPT; i++) {
		const char *value = getenv(kept[i]);
		if (value == NULL)
			continue;
		size_t size = strlen(kept[i]) + strlen(value) + 2;
		variables[n] = xmalloc(size);
		snprintf(variables[n], size, "%s=%s", kept[i], value);
		n++;
	}
	variables[n] = NULL;
}

/* A file opened later may never become our standard output. */
static void
fill_standard(void)
{
	int fd;
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	/* Nothing is ever read from it. */
	if (fd == -1 || dup2(fd, STDIN_FILENO) == -1)
		fatal_errno("/dev/null");
	close_range(STDERR_FILENO + 1, ~0U, 0);
}

static void
reset_signals(void)
{
	sigset_t none;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void
environment_clean(bool keep)
{
	fill_standard();
	reset_signals();
	if (keep)
		keep_variables();
	clearenv();
	if (putenv(path) != 0)
		fatal_errno("environment");
	umask(077);
}

void
environment_raise_nofile(unsigned long wanted, unsigned long needed)
{
	struct rlimit had, rl;
	if (getrlimit(RLIMIT_NOFILE, &had) == -1)
		fatal_errno("getrlimit");
	rl = had;
	if (rl.rlim_max < wanted && geteuid() == 0)
		rl.rlim_max = wanted;
	rl.rlim_cur = rl.rlim_max;
	/* Even root may not be allowed to, in a container. */
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1) {
		rl.rlim_cur = rl.rlim_max = had.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
			rl = had;
	}
	if (rl.rlim_max < needed)
		log_warn(NULL, "limits", "descriptors=%lu needed=%lu why=%s",
		    (unsigned long)rl.rlim_max, needed,
		    log_cstr("limit connections may not be reached"));
}
