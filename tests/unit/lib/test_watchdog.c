/* A process that spins ends; one that works in rounds does not. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/proc/watchdog.h"

enum { LIMIT_MS = 1200, WORKED = 3 };

static struct loop *loop;
static struct timer *timer;
static unsigned int rounds;

static uint64_t
cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
spin(uint64_t ms)
{
	uint64_t end = cpu_ms() + ms;

	while (cpu_ms() < end)
		;
}

static void
on_spin(void *unused)
{
	(void)unused;
	spin(20U * LIMIT_MS);
}

/* More than the limit, all in all, but never at a time. */
static void
on_work(void *unused)
{
	(void)unused;
	spin(LIMIT_MS / 12);
	if (++rounds == 24)
		_exit(WORKED);
	timer_set(timer, 0);
}

/* How a process ended that did that in its loop. */
static int
run(timer_fn *fn)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGPROF, SIG_IGN); /* inherited, say */
		loop = loop_new();
		timer = timer_new(loop, fn, NULL);
		timer_set(timer, 0);
		watchdog_start(loop, LIMIT_MS);
		loop_run(loop);
		_exit(0);
	}
	ck_assert_int_ne(pid, -1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(test_spins)
{
	int status = run(on_spin);

	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGPROF);
}

END_TEST

START_TEST(test_works)
{
	int status = run(on_work);

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), WORKED);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("watchdog");
	TCase *t = tcase_create("watchdog");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_spins);
	tcase_add_test(t, test_works);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
