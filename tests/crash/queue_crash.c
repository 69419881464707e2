/*
 * Kills the whole queue at every call that changes the disk, while mail comes
 * in, is delivered, fails, is late and is reported; starts it again, and
 * looks whether every recipient of every mail that was accepted has had what
 * is due: a delivery, a report of its failure, its delay or its delivery. None
 * may be lost, and none done more often than one crash excuses. Some mail
 * begins in quarantine, is removed, had back and released; some is shown to
 * filters, which change it: nobody may get it as it was.
 *
 *   queue_crash [STRIDE [MODE]]   every STRIDE-th call (default 1)
 *
 * The queue runs with its channels in a process of its own, in which this
 * program plays smtpd and the agent. The shim is faultshim.so beside this
 * program, or $FAULTSHIM.
 */
#include "tests/crash/queue_crash.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"

static const struct {
	const char *mode;
	bool lasting;
	bool dies;
} modes[] = {
	{ "kill", false, true },
	{ "torn", false, true },
	{ "power", false, true },
	{ "eio", false, false },
	{ "enospc", false, false },
	{ "enospc", true, false },
};

enum { MODES = sizeof(modes) / sizeof(modes[0]) };

struct line {
	unsigned int accepted;
	unsigned int done[RCPTS]; /* as due: delivered or reported */
};

static struct line ledger[MAILS];
static unsigned int passed, failed;

/* Runs one life; its exit status, or that it was killed: -1. */
static int
run_life(const char *dir, size_t mode, long at, const char *shim, bool *hit)
{
	const char *bounded;
	char n[32], out[16], told[16], byte;
	int events[2], tell[2], status;
	struct event e;
	pid_t pid;

	if (pipe(events) == -1 || pipe(tell) == -1)
		exit(2);
	pid = fork();
	if (pid == 0) {
		snprintf(n, sizeof(n), "%ld", at);
		snprintf(out, sizeof(out), "%d", events[1]);
		snprintf(told, sizeof(told), "%d", tell[1]);
		bounded = at > 0 && !modes[mode].dies ? "bounded" : "";
		if (at > 0) {
			setenv("LD_PRELOAD", shim, 1);
			setenv("FAULTSHIM_AT", n, 1);
			setenv("FAULTSHIM_SEED", n, 1);
			setenv("FAULTSHIM_DO", modes[mode].mode, 1);
			setenv("FAULTSHIM_COUNT",
			    modes[mode].lasting ? "0" : "1", 1);
			setenv("FAULTSHIM_FD", told, 1);
		}
		close(events[0]);
		close(tell[0]);
		execl("/proc/self/exe", "queue_crash", "--child", dir, out,
		    at > 0 ? "first" : "", bounded, (char *)NULL);
		_exit(127);
	}
	close(events[1]);
	close(tell[1]);
	while (read(events[0], &e, sizeof(e)) == sizeof(e)) {
		if (e.what == 'A')
			ledger[e.mail].accepted = 1;
		else
			ledger[e.mail].done[e.rcpt]++;
	}
	*hit = read(tell[0], &byte, 1) == 1;
	close(events[0]);
	close(tell[0]);
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		exit(2);
	return WIFEXITED(status)           ? WEXITSTATUS(status) :
	       WTERMSIG(status) == SIGKILL ? -1 :
					     CODE_BROKEN;
}

static unsigned int wrong;

static void
complain(uint32_t mail, uint32_t rcpt, const char *what, unsigned int n)
{
	if (wrong++ < 5)
		printf("  mail %" PRIu32 " %s: %s (%u)\n", mail, rcpts[rcpt].to,
		    what, n);
}

/* Who comes out of quarantine is told of a delay with a later try. */
static bool
is_excused(uint32_t m, uint32_t r)
{
	return rcpts[r].outcome == OUTCOME_DEFERRED &&
	       starts[m % STARTS] == START_QUARANTINED;
}

static void
forget_excused(void)
{
	for (uint32_t m = 0; m < MAILS; m++)
		for (uint32_t r = 0; r < RCPTS; r++)
			if (is_excused(m, r))
				ledger[m].done[r] = 0;
}

static void
check_ledger(unsigned int most)
{
	for (uint32_t m = 0; m < MAILS; m++)
		for (uint32_t r = 0; r < RCPTS; r++) {
			unsigned int n = ledger[m].done[r];

			if (is_excused(m, r))
				continue;
			if (ledger[m].accepted > 0 && n == 0)
				complain(m, r, "LOST", n);
			if (n > most)
				complain(m, r, "too often", n);
		}
}

static bool
run_one(const char *shim, size_t mode, long n)
{
	char dir[] = "/tmp/queue_crash.XXXXXX", command[64];
	struct line before[MAILS];
	bool happened, never;
	int rc;

	if (mkdtemp(dir) == NULL)
		exit(2);
	memset(ledger, 0, sizeof(ledger));
	wrong = 0;
	rc = run_life(dir, mode, n, shim, &happened);
	if (rc != 0 && rc != (modes[mode].dies ? -1 : CODE_NO_START))
		complain(0, 0, "the first life", (unsigned int)rc);
	if (run_life(dir, mode, 0, shim, &never) != 0)
		complain(0, 0, "the second life", 0);
	check_ledger(happened ? 2 : 1);
	forget_excused();
	/* What is over is over. */
	memcpy(before, ledger, sizeof(before));
	if (run_life(dir, mode, 0, shim, &never) != 0)
		complain(0, 0, "the third life", 0);
	forget_excused();
	if (memcmp(before, ledger, sizeof(before)) != 0)
		complain(0, 0, "it began again", 0);
	if (wrong == 0) {
		passed++;
		snprintf(command, sizeof(command), "rm -rf '%s'", dir);
		if (system(command) != 0)
			exit(2);
	} else {
		failed++;
		printf("not ok %s at %ld: %u wrong, see %s\n", modes[mode].mode,
		    n, wrong, dir);
	}
	return happened;
}

int
main(int argc, char **argv)
{
	const char *shim = getenv("FAULTSHIM");
	char beside[512], *slash;
	long stride = argc > 1 ? strtol(argv[1], NULL, 10) : 1;

	if (getenv("QUEUE_CRASH_LOG") == NULL)
		log_set_fd(
		    open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_SINK_STREAM);
	if (argc == 6 && strcmp(argv[1], "--child") == 0)
		_exit(live(argv[2], (int)strtol(argv[3], NULL, 10),
		    *argv[4] != '\0', *argv[5] != '\0'));
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (shim == NULL) {
		snprintf(beside, sizeof(beside), "%s", argv[0]);
		slash = strrchr(beside, '/');
		snprintf(
		    slash == NULL ? beside : slash + 1, 16, "faultshim.so");
		shim = realpath(beside, NULL);
	}
	for (size_t i = 0; i < MODES; i++) {
		unsigned int before = passed + failed;

		if (argc > 2 && strcmp(argv[2], modes[i].mode) != 0)
			continue;
		for (long n = 1; run_one(shim, i, n);
		     n += stride < 1 ? 1 : stride)
			;
		printf("%s%s: %u points\n", modes[i].mode,
		    modes[i].lasting ? " for good" : "",
		    passed + failed - before);
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
