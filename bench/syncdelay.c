/*
 * Preloaded: every fsync and fdatasync takes SYNCDELAY_MS milliseconds more
 * (5 when it is not set), as on a disk that has to turn first.
 *
 * It waits on a futex, not in a sleep: a sandbox lets that through, because
 * threads need it.
 */
#include <dlfcn.h>
#include <linux/futex.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long delay_ms = 5;
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void
find(void)
{
	const char *ms = getenv("SYNCDELAY_MS");

	if (ms != NULL)
		delay_ms = strtol(ms, NULL, 10);
	*(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
	*(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
}

static void
wait_a_while(void)
{
	static uint32_t never = 0;
	struct timespec t = { delay_ms / 1000, delay_ms % 1000 * 1000000 };

	syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);
}

int
fsync(int fd)
{
	wait_a_while();
	return real_fsync(fd);
}

int
fdatasync(int fd)
{
	wait_a_while();
	return real_fdatasync(fd);
}
