#include "posternd/environment.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "posternd/logsink.h"
#include "posternd/notify.h"

static const char *const kept[] = { "LD_PRELOAD", "ASAN_OPTIONS",
	"UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS" };

enum { NKEPT = sizeof(kept) / sizeof(kept[0]), NMANAGER = 2 };

static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
static char *variables[NKEPT + 2] = { path, NULL };

char *const *
environment_of_children(void)
{
	return variables;
}

/* Of the kernel's choice when memory runs out: from -1000 (never) to 1000. */
static const char oom_path[] = "/proc/self/oom_score_adj";

enum { OOM_PARENT = -900, OOM_QUEUE = -800 };

/* What the others have; -1: all stays as it is. */
static int oom_others = -1;

static int
write_oom(int score)
{
	char text[16];
	int fd = open(oom_path, O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	int len = snprintf(text, sizeof(text), "%d", score);
	ssize_t n = write(fd, text, (size_t)len);
	close(fd);
	return n == -1 ? -1 : 0;
}

/* Our own; INT_MIN: it cannot be known. */
static int
read_oom(void)
{
	char had[8] = "";
	int fd = open(oom_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, had, sizeof(had) - 1);
	if (fd != -1)
		close(fd);
	return n <= 0 ? INT_MIN : (int)strtol(had, NULL, 10);
}

void
environment_protect(int others)
{
	int had = read_oom();
	if (had == INT_MIN)
		return;
	if (had > OOM_PARENT && write_oom(OOM_PARENT) == -1) {
		log_debug(NULL, "start", "why=%s",
		    log_cstr("no protection when memory runs out"));
		return;
	}
	/* What the service manager gave is for the parent alone. */
	oom_others = others != -1 ? others : had < 0 ? 0 : had;
}

int
environment_others(void)
{
	return oom_others;
}

void
environment_inherit(bool is_protected)
{
	if (oom_others != -1)
		(void)write_oom(is_protected ? OOM_QUEUE : oom_others);
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

char **
environment_of_successor(const char *name, int number)
{
	const char *const manager[NMANAGER] = { notify_variable(),
		logsink_variable() };
	char **all = xcalloc(NKEPT + NMANAGER + 3, sizeof(*all));
	size_t n = 0;
	for (; variables[n] != NULL; n++)
		all[n] = xstrdup(variables[n]);
	for (size_t i = 0; i < NMANAGER; i++)
		if (manager[i] != NULL)
			all[n++] = xstrdup(manager[i]);
	if (asprintf(&all[n], "%s=%d", name, number) == -1)
		abort();
	return all;
}

void
environment_free(char **all)
{
	for (size_t i = 0; all[i] != NULL; i++)
		free(all[i]);
	free(all);
}

static void
close_others(const int *spared, size_t n)
{
	unsigned int from = STDERR_FILENO + 1;
	for (size_t i = 0; i < n; i++) {
		unsigned int fd = (unsigned int)spared[i];
		if (fd > from)
			close_range(from, fd - 1, 0);
		from = fd + 1;
	}
	close_range(from, ~0U, 0);
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
}

/* Those whose default is our end though they mean something else. */
static const int asking[] = { SIGHUP, SIGUSR1, SIGUSR2 };
static const int ending[] = { SIGTERM, SIGINT, SIGCHLD };

void
environment_hold_signals(bool all)
{
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(asking) / sizeof(asking[0]); i++)
		sigaddset(&set, asking[i]);
	for (size_t i = 0; all && i < sizeof(ending) / sizeof(ending[0]); i++)
		sigaddset(&set, ending[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

void
environment_release_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
reset_signals(bool all)
{
	environment_hold_signals(all);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
}

void
environment_clean(bool keep, const int *spared, size_t nspared)
{
	fill_standard();
	close_others(spared, nspared);
	reset_signals(nspared > 0);
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
