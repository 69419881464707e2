/* What a process is in that starts others: each case is one that enters, and
 * looks. */
#include <check.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/proc/sandbox.h"

enum { MEMORY = 256 << 20, NOBODY = 65534 };

static bool
can_start_others(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* Bounds that a child can take down, but for that of core files. */
static bool
are_limits_soft(void)
{
	struct rlimit memory, core;

	if (getrlimit(RLIMIT_AS, &memory) == -1 ||
	    getrlimit(RLIMIT_CORE, &core) == -1 || core.rlim_max != 0)
		return false;
	if (sandbox_is_compiled_in() && memory.rlim_cur != MEMORY)
		return false;
	memory.rlim_cur = memory.rlim_max;
	return setrlimit(RLIMIT_AS, &memory) == 0;
}

/* As who started the gateway may have got it from whoever started him; false:
 * we may not. */
static bool
raise_ambient(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) == -1)
		return false;
	data[0].inheritable |= 1U << CAP_NET_BIND_SERVICE;
	return syscall(SYS_capset, &head, data) == 0 &&
	       prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE,
		   0, 0) == 0;
}

static void
enter(int root, const char *want)
{
	struct jail j = { .root_fd = root,
		.uid = NOBODY,
		.gid = NOBODY,
		.promises = PROMISE_RUN,
		.nofile = 64,
		.memory = MEMORY };
	struct fault why;
	char text[256];

	if (geteuid() == 0 && !raise_ambient())
		_exit(8);
	if (sandbox_enter(&j, text, sizeof(text), &why) == -1)
		_exit(2);
	if (strcmp(text, want) != 0)
		_exit(3);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0 ||
	    prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0)
		_exit(4);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_BIND_SERVICE,
		0, 0) != 0)
		_exit(9);
	if (root != -1 && (getuid() != NOBODY || setuid(0) == 0))
		_exit(5);
	if (!are_limits_soft())
		_exit(6);
	_exit(can_start_others() ? 0 : 7);
}

static void
ends_well(int root, const char *want)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		enter(root, want);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

START_TEST(test_as_it_is)
{
	ends_well(-1, "none");
}

END_TEST

START_TEST(test_as_root)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (geteuid() == 0)
		ends_well(root, "uid");
	close(root);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("sandbox_run");
	TCase *tc = tcase_create("sandbox_run");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, test_as_it_is);
	tcase_add_test(tc, test_as_root);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
