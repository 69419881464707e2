/* What the filter and Landlock let through, asked of the kernel: each case is
 * a process that enters the jail and makes one call. */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/proc/sandbox.h"
#include "tests/unit/lib/calls_tried.h"

static const struct {
	const char *name;
	unsigned int promises;
	int (*call)(void);
	int expected;
} cases[] = {
	{ "openat", 0, call_open, KILLED },
	{ "open", 0, call_open_old, KILLED },
	{ "open with files", PROMISE_FILES, call_open_old, KILLED },
	{ "openat2 without files", 0, call_openat2, REFUSED },
	{ "in the granted directory", PROMISE_FILES, call_granted, WENT },
	{ "elsewhere by path", PROMISE_FILES, call_open, REFUSED },
	{ "elsewhere by descriptor", PROMISE_FILES, call_foreign, REFUSED },
	{ "socket", 0, call_socket, KILLED },
	{ "socket of accept", PROMISE_ACCEPT, call_socket, KILLED },
	{ "socket of files", PROMISE_FILES, call_socket, KILLED },
	{ "socket v4", PROMISE_CONNECT, call_socket, WENT },
	{ "socket v6", PROMISE_CONNECT, call_socket6, WENT },
	{ "socket udp", PROMISE_CONNECT, call_socket_dgram, KILLED },
	{ "socket unix", PROMISE_CONNECT, call_socket_unix, KILLED },
	{ "socket raw", PROMISE_CONNECT, call_socket_raw, KILLED },
	{ "connect", PROMISE_CONNECT, call_connect, WENT },
	{ "connect of accept", PROMISE_ACCEPT, call_connect, KILLED },
	{ "bind", PROMISE_CONNECT, call_bind, WENT },
	{ "bind of accept", PROMISE_ACCEPT, call_bind, KILLED },
	{ "listen", PROMISE_ACCEPT | PROMISE_CONNECT, call_listen, KILLED },
	{ "accept", PROMISE_ACCEPT, call_accept, WENT },
	{ "accept of listen", PROMISE_LISTEN, call_accept, WENT },
	{ "accept of serve", PROMISE_SERVE, call_accept, WENT },
	{ "socket of serve", PROMISE_SERVE, call_socket, REFUSED },
	{ "unix of serve", PROMISE_SERVE, call_socket_unix, REFUSED },
	{ "raw of serve", PROMISE_SERVE, call_socket_raw, REFUSED },
	{ "connect of serve", PROMISE_SERVE, call_connect, KILLED },
	{ "bind of serve", PROMISE_SERVE, call_bind, KILLED },
	{ "open of serve", PROMISE_SERVE, call_open, KILLED },
	{ "accept of connect", PROMISE_CONNECT, call_accept, KILLED },
	{ "udp of resolve", PROMISE_RESOLVE, call_socket_dgram, WENT },
	{ "tcp of resolve", PROMISE_RESOLVE, call_socket, WENT },
	{ "unix of resolve", PROMISE_RESOLVE, call_socket_unix, KILLED },
	{ "raw of resolve", PROMISE_RESOLVE, call_socket_raw, KILLED },
	{ "connect of resolve", PROMISE_RESOLVE, call_connect, WENT },
	{ "bind of resolve", PROMISE_RESOLVE, call_bind, KILLED },
	{ "accept of resolve", PROMISE_RESOLVE, call_accept, KILLED },
	{ "listen of resolve", PROMISE_RESOLVE, call_listen, KILLED },
	{ "open of resolve", PROMISE_RESOLVE, call_open, KILLED },
	{ "sendto of resolve", PROMISE_RESOLVE, call_sendto, KILLED },
	{ "nodelay of resolve", PROMISE_RESOLVE, call_nodelay, WENT },
	{ "option of resolve", PROMISE_RESOLVE, call_option_filter, KILLED },
	{ "tcp of dial", PROMISE_DIAL, call_socket, WENT },
	{ "tcp v6 of dial", PROMISE_DIAL, call_socket6, WENT },
	{ "unix of dial", PROMISE_DIAL, call_socket_unix, WENT },
	{ "udp of dial", PROMISE_DIAL, call_socket_dgram, KILLED },
	{ "raw of dial", PROMISE_DIAL, call_socket_raw, KILLED },
	{ "connect of dial", PROMISE_DIAL, call_connect, WENT },
	{ "nodelay of dial", PROMISE_DIAL, call_nodelay, WENT },
	{ "option of dial", PROMISE_DIAL, call_option_filter, KILLED },
	{ "bind of dial", PROMISE_DIAL, call_bind, KILLED },
	{ "listen of dial", PROMISE_DIAL, call_listen, KILLED },
	{ "accept of dial", PROMISE_DIAL, call_accept, KILLED },
	{ "open of dial", PROMISE_DIAL, call_open, KILLED },
	{ "stat of dial", PROMISE_DIAL, call_stat, KILLED },
	{ "watchdog", PROMISE_WATCHDOG, call_timer_prof, WENT },
	{ "watchdog of others", PROMISE_RESOLVE, call_timer_prof, KILLED },
	{ "another timer", PROMISE_WATCHDOG, call_timer_real, KILLED },
	{ "sendto an address", 0, call_sendto, KILLED },
	{ "send", 0, call_send, WENT },
	{ "socket option", PROMISE_ACCEPT, call_option, WENT },
	{ "socket option without", 0, call_option, KILLED },
	{ "other option", PROMISE_ACCEPT, call_option_filter, KILLED },
	{ "fork", PROMISE_FILES, call_fork, KILLED },
	{ "clone", PROMISE_FILES, call_vfork_like, KILLED },
	{ "clone3", PROMISE_FILES, call_clone3, REFUSED },
	{ "execve", PROMISE_FILES, call_exec, KILLED },
	{ "kill", 0, call_kill, KILLED },
	{ "tgkill another", 0, call_tgkill_other, KILLED },
	{ "tgkill self", 0, call_tgkill_self, WENT },
	{ "abort", 0, call_abort, ABORTED },
	{ "ptrace", 0, call_ptrace, KILLED },
	{ "process_vm_readv", 0, call_vm_read, KILLED },
	{ "pidfd_open", 0, call_pidfd, KILLED },
	{ "setuid", 0, call_setuid, KILLED },
	{ "prctl", 0, call_prctl, KILLED },
	{ "setrlimit", 0, call_limit, KILLED },
	{ "getrlimit", 0, call_limit_get, WENT },
	{ "mmap exec", 0, call_mmap_exec, KILLED },
	{ "mprotect exec", 0, call_mprotect_exec, KILLED },
	{ "malloc", 0, call_malloc, WENT },
	{ "qsort", 0, call_qsort, WENT },
	{ "fstat", 0, call_fstat, WENT },
	{ "stat", 0, call_stat, KILLED },
	{ "fcntl owner", 0, call_fcntl_owner, KILLED },
	{ "fcntl dup", 0, call_fcntl, WENT },
	{ "ioctl", 0, call_ioctl_inject, KILLED },
	{ "bpf", 0, call_bpf, KILLED },
	{ "io_uring_setup", 0, call_uring, KILLED },
	{ "x32", 0, call_x32, KILLED },
};

/* --- the processes --- */

/* By a call that the filter allows: it may come before or behind it. */
static void *
wait_for_ever(void *ctx)
{
	static sem_t never;
	sem_init(&never, 0, 0);
	for (;;)
		sem_wait(&never);
	return ctx;
}

static int
start_thread(void *ctx)
{
	pthread_t t;
	return pthread_create(&t, NULL, wait_for_ever, ctx) == 0 ? 0 : -1;
}

static struct jail
jail_of(unsigned int promises)
{
	struct jail j = { .root_fd = -1,
		.dirs = &dir,
		.ndirs = (promises & PROMISE_FILES) != 0 ? 1 : 0,
		.promises = promises,
		.nofile = 64 };
	return j;
}

/* Exit status or signal of one case. */
static int
run_case(const struct jail *j, int (*call)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		char text[256];
		struct fault why = { 0 };
		if (sandbox_enter(j, text, sizeof(text), &why) == -1) {
			fprintf(stderr, "%s\n", why.text);
			_exit(99);
		}
		_exit(call());
	}
	ck_assert_int_ne(pid, -1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

START_TEST(calls)
{
	struct jail j = jail_of(cases[_i].promises);
	int got = run_case(&j, cases[_i].call);
	ck_assert_msg(got == cases[_i].expected, "%s: %d instead of %d",
	    cases[_i].name, got, cases[_i].expected);
}

END_TEST

START_TEST(threads_are_in_it)
{
	struct jail j = jail_of(0);
	j.threads = start_thread;
	ck_assert_int_eq(run_case(&j, call_malloc), WENT);
	ck_assert_int_eq(run_case(&j, call_open), KILLED);
	ck_assert_int_eq(run_case(&j, call_abort), ABORTED);
}

END_TEST

static int
look(void)
{
	struct rlimit rl;
	if (getuid() == 0 || geteuid() == 0 || getgid() == 0 || getegid() == 0)
		return 2;
	if (prlimit(0, RLIMIT_NOFILE, NULL, &rl) == -1 || rl.rlim_max != 64)
		return 3;
	if (prlimit(0, RLIMIT_CORE, NULL, &rl) == -1 || rl.rlim_max != 0)
		return 4;
	if (prlimit(0, RLIMIT_NPROC, NULL, &rl) == -1 || rl.rlim_max != 0)
		return 5;
	return WENT;
}

static int
root_is_empty(void)
{
	if (openat(AT_FDCWD, "/etc/passwd", O_RDONLY) != -1)
		return 2;
	return openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY) == -1 ? WENT : 3;
}

START_TEST(as_root)
{
	if (geteuid() != 0)
		return;
	struct jail j = jail_of(0);
	j.root_fd = foreign;
	j.uid = 65534;
	j.gid = 65534;
	ck_assert_int_eq(run_case(&j, look), WENT);
	ck_assert_int_eq(run_case(&j, call_setuid), KILLED);
	j = jail_of(PROMISE_FILES);
	j.root_fd = foreign;
	j.uid = j.gid = 65534;
	ck_assert_int_eq(run_case(&j, root_is_empty), WENT);
	/* Never as root. */
	j.uid = 0;
	ck_assert_int_eq(run_case(&j, look), 99);
	j.uid = 65534;
	j.gid = 0;
	ck_assert_int_eq(run_case(&j, look), 99);
}

END_TEST

/* Asked while rights are gone and the filter is not there yet. */
static int
has_groups(void *unused)
{
	gid_t groups[8];
	int n = getgroups(8, groups);
	(void)unused;
	for (int i = 0; i < n; i++)
		if (groups[i] != 65534 && groups[i] != 1 && groups[i] != 8)
			return -1;
	return n == 3 ? 0 : -1;
}

static int
has_no_groups(void *unused)
{
	gid_t group;
	(void)unused;
	return getgroups(1, &group) == 1 && group == 65534 ? 0 : -1;
}

START_TEST(groups)
{
	static const gid_t more[] = { 1, 8 }, root[] = { 1, 0 };
	if (geteuid() != 0)
		return;
	struct jail j = jail_of(0);
	j.root_fd = foreign;
	j.uid = j.gid = 65534;
	j.threads = has_no_groups;
	ck_assert_int_eq(run_case(&j, call_send), WENT);
	j.groups = more;
	j.ngroups = 2;
	j.threads = has_groups;
	ck_assert_int_eq(run_case(&j, call_send), WENT);
	/* Never root's. */
	j.groups = root;
	ck_assert_int_eq(run_case(&j, call_send), 99);
}

END_TEST

/* With the root that there is: its files are seen, and Landlock keeps them. */
static int
root_is_there(void)
{
	struct stat st;
	if (fstatat(AT_FDCWD, "/etc/passwd", &st, AT_EMPTY_PATH) == -1)
		return 2;
	return call_open();
}

START_TEST(without_another_root)
{
	if (geteuid() != 0)
		return;
	struct jail j = jail_of(PROMISE_FILES);
	j.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	j.uid = j.gid = 65534;
	j.ndirs = 0;
	ck_assert_int_eq(run_case(&j, root_is_there), REFUSED);
	close(j.root_fd);
}

END_TEST

static void
prepare(char *granted, char *other)
{
	if (mkdtemp(granted) == NULL || mkdtemp(other) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
		abort();
	dir = open(granted, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	foreign = open(other, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1 || foreign == -1)
		abort();
}

int
main(void)
{
	char granted[] = "/tmp/test_sandbox.XXXXXX";
	char other[] = "/tmp/test_sandbox.XXXXXX";
	if (!sandbox_is_compiled_in()) {
		printf("sandbox: not in this build, skipped\n");
		return 0;
	}
	prepare(granted, other);
	Suite *suite = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");
	tcase_add_loop_test(
	    tc, calls, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, threads_are_in_it);
	tcase_add_test(tc, as_root);
	tcase_add_test(tc, groups);
	tcase_add_test(tc, without_another_root);
	suite_add_tcase(suite, tc);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	rmdir(granted);
	rmdir(other);
	return failed == 0 ? 0 : 1;
}
