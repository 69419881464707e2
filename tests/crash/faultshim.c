/*
 * A preloaded library that makes the disk misbehave at a chosen moment.
 *
 *   FAULTSHIM_AT=n        the n-th call that changes the disk (from 1 on)
 *   FAULTSHIM_DO=kill     dies before it
 *                torn     dies in the middle of it
 *                power    dies before it, and of all that was written and
 *                         not synced a random choice of pages is lost
 *                eio      it fails; enospc likewise
 *                short    from then on every write writes half
 *   FAULTSHIM_COUNT=m     as many calls in a row fail (default 1; 0: all)
 *   FAULTSHIM_SEED=s      for the choice of pages
 *   FAULTSHIM_FD=fd       gets a byte when it happened
 *
 * The calls: pwrite, fsync, fdatasync, unlinkat, fallocate, renameat2, and
 * openat with O_CREAT.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };

enum what { NOTHING, KILL, TORN, POWER, FAIL, SHORT };

/* What a write that is not yet synced replaced. */
struct undo {
	struct undo *next;
	int fd; /* our own */
	dev_t dev;
	ino_t ino;
	uint64_t offset;
	size_t len;
	unsigned char old[];
};

static struct {
	bool ready;
	enum what what;
	int error;
	long at, count, now;
	int fd;
	unsigned int seed;
	struct undo *undo;
} shim;

static const struct {
	const char *name;
	enum what what;
	int error;
} WORDS[] = { { "kill", KILL, 0 }, { "torn", TORN, 0 }, { "power", POWER, 0 },
	{ "eio", FAIL, EIO }, { "enospc", FAIL, ENOSPC },
	{ "short", SHORT, 0 } };

static long
number_of(const char *name, long otherwise)
{
	const char *v = getenv(name);

	return v == NULL ? otherwise : strtol(v, NULL, 10);
}

static void
start(void)
{
	const char *word = getenv("FAULTSHIM_DO");

	if (shim.ready)
		return;
	shim.ready = true;
	shim.at = number_of("FAULTSHIM_AT", 0);
	shim.count = number_of("FAULTSHIM_COUNT", 1);
	shim.fd = (int)number_of("FAULTSHIM_FD", -1);
	shim.seed = (unsigned int)number_of("FAULTSHIM_SEED", 1);
	for (size_t i = 0; word != NULL && i < sizeof(WORDS) / sizeof(WORDS[0]);
	     i++) {
		if (strcmp(word, WORDS[i].name) == 0) {
			shim.what = WORDS[i].what;
			shim.error = WORDS[i].error;
		}
	}
}

static unsigned int
draw(void)
{
	shim.seed = shim.seed * 1103515245u + 12345u;
	return shim.seed >> 16;
}

static void
tell(void)
{
	if (shim.fd >= 0)
		syscall(SYS_write, shim.fd, "X", 1);
}

static void
die(void)
{
	tell();
	syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	for (;;)
		pause();
}

/* Newest first, so that the oldest bytes win. Whether a page is lost is
 * decided per write and page. */
static void
lose_power(void)
{
	for (struct undo *u = shim.undo; u != NULL; u = u->next) {
		for (size_t at = 0; at < u->len; at += PAGE) {
			size_t n = u->len - at < PAGE ? u->len - at : PAGE;

			if (draw() % 2 == 0)
				syscall(SYS_pwrite64, u->fd, u->old + at, n,
				    u->offset + at);
		}
	}
	die();
}

/* 0: go on; 1: in half; -1: fail with errno. */
static int
step(void)
{
	long n;

	start();
	n = __sync_add_and_fetch(&shim.now, 1);
	if (shim.what == NOTHING || n < shim.at)
		return 0;
	switch (shim.what) {
	case SHORT:
		if (n == shim.at)
			tell();
		return 1;
	case FAIL:
		if (shim.count != 0 && n >= shim.at + shim.count)
			return 0;
		if (n == shim.at)
			tell();
		errno = shim.error;
		return -1;
	case KILL:
		die();
		break;
	case POWER:
		lose_power();
		break;
	case TORN:
		return 1;
	case NOTHING:
		break;
	}
	return 0;
}

static void
remember(int fd, size_t len, uint64_t offset)
{
	struct undo *u;
	struct stat st;
	char path[64];

	if (shim.what != POWER || len == 0 || fstat(fd, &st) == -1)
		return;
	u = calloc(1, sizeof(*u) + len);
	if (u == NULL)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	u->fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (u->fd == -1) {
		free(u);
		return;
	}
	u->dev = st.st_dev;
	u->ino = st.st_ino;
	u->offset = offset;
	u->len = len;
	syscall(SYS_pread64, u->fd, u->old, len, offset);
	u->next = shim.undo;
	shim.undo = u;
}

static void
forget(int fd)
{
	struct undo **p = &shim.undo, *u;
	struct stat st;

	if (shim.what != POWER || fstat(fd, &st) == -1)
		return;
	while ((u = *p) != NULL) {
		if (u->ino != st.st_ino || u->dev != st.st_dev) {
			p = &u->next;
			continue;
		}
		*p = u->next;
		syscall(SYS_close, u->fd);
		free(u);
	}
}

ssize_t pwrite64(int fd, const void *p, size_t len, off64_t offset);

ssize_t
pwrite64(int fd, const void *p, size_t len, off64_t offset)
{
	int how = step();

	if (how == -1)
		return -1;
	if (how == 1 && len > 1)
		len /= 2;
	remember(fd, len, (uint64_t)offset);
	ssize_t n = syscall(SYS_pwrite64, fd, p, len, offset);
	if (how == 1 && shim.what == TORN)
		die();
	return n;
}

ssize_t
pwrite(int fd, const void *p, size_t len, off_t offset)
{
	return pwrite64(fd, p, len, offset);
}

static int
sync_with(long call, int fd)
{
	int how = step();
	long rc;

	if (how == -1)
		return -1;
	if (how == 1 && shim.what == TORN)
		die();
	rc = syscall(call, fd);
	if (rc == 0)
		forget(fd);
	return (int)rc;
}

int
fsync(int fd)
{
	return sync_with(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	return sync_with(SYS_fdatasync, fd);
}

static int
before_other(void)
{
	int how = step();

	if (how == 1 && shim.what == TORN)
		die();
	return how == -1 ? -1 : 0;
}

int
unlinkat(int dir, const char *name, int flags)
{
	if (before_other() == -1)
		return -1;
	return (int)syscall(SYS_unlinkat, dir, name, flags);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t len);

int
fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
	if (before_other() == -1)
		return -1;
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int
fallocate(int fd, int mode, off_t offset, off_t len)
{
	return fallocate64(fd, mode, offset, len);
}

int
renameat2(
    int from, const char *old, int to, const char *new, unsigned int flags)
{
	if (before_other() == -1)
		return -1;
	return (int)syscall(SYS_renameat2, from, old, to, new, flags);
}

int
openat(int dir, const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
		if (before_other() == -1)
			return -1;
	}
	return (int)syscall(SYS_openat, dir, name, flags, mode);
}
