/*
 * A timer of CPU time with the default action of its signal: it costs an
 * idle process nothing. It is wound up at the start of a round, and not more
 * than once in a while: that would be a system call for each.
 */
#include "lib/proc/watchdog.h"

#include <signal.h>
#include <sys/time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

enum { WIND_UP_MS = 1000 };

static struct {
	struct itimerval limit;
	uint64_t next_ms;
} watchdog;

static void
wind_up(void)
{
	uint64_t now_ms = clock_mono_ms();

	if (now_ms < watchdog.next_ms)
		return;
	watchdog.next_ms = now_ms + WIND_UP_MS;
	if (setitimer(ITIMER_PROF, &watchdog.limit, NULL) == -1)
		fatal_errno("setitimer");
}

void
watchdog_start(struct loop *l, uint64_t cpu_ms)
{
	watchdog.limit.it_value.tv_sec = (time_t)(cpu_ms / 1000);
	watchdog.limit.it_value.tv_usec = (suseconds_t)(cpu_ms % 1000 * 1000);
	watchdog.next_ms = 0;
	/* Whatever was inherited. */
	signal(SIGPROF, SIG_DFL);
	wind_up();
	loop_on_round(l, wind_up);
}
