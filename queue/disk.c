/* System calls on the spool that finish what they began. */
#include "queue/disk.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "lib/base/log.h"

int
disk_write(int fd, const void *p, size_t len, uint64_t offset)
{
	const char *at = p;

	while (len > 0) {
		ssize_t n = pwrite(fd, at, len, (off_t)offset);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			return -1;
		at += n;
		offset += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int64_t
disk_read(int fd, void *p, size_t len, uint64_t offset)
{
	char *at = p;
	size_t have = 0;

	while (have < len) {
		ssize_t n =
		    pread(fd, at + have, len - have, (off_t)(offset + have));

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (int64_t)have;
}

int
disk_fsync(int fd)
{
	int rc;

	do {
		rc = fsync(fd);
	} while (rc == -1 && errno == EINTR);
	return rc;
}

int
disk_fdatasync(int fd)
{
	int rc;

	do {
		rc = fdatasync(fd);
	} while (rc == -1 && errno == EINTR);
	return rc;
}

void
disk_close(int fd)
{
	if (fd != -1 && close(fd) == -1 && errno != EINTR)
		log_warn(NULL, "spool", "close=%s", log_cstr(strerror(errno)));
}
