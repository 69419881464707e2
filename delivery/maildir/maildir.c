#include "delivery/maildir/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "delivery/maildir/mdpath.h"
#include "lib/base/clock.h"

enum {
	ROOM = 65536,
	NAME_SIZE = 200,
	HOST_MAX = 64 /* bytes of our name in a file's name */
};

static int
write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n == 0)
			errno = ENOSPC;
		if (n == 0 || (n == -1 && errno != EINTR))
			return -1;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* 0, or -1 with errno. The mail is on disk then, in tmp. */
static int
write_mail(int fd, struct mail_text *text)
{
	static char room[ROOM];
	ssize_t n;

	while ((n = mail_text_read(text, room, sizeof(room))) > 0)
		if (write_all(fd, room, (size_t)n) == -1)
			return -1;
	return n == -1 ? -1 : fsync(fd);
}

/* time.MusecPpidQcount.host, as the Maildir convention has it; what a name
 * must not hold is written as its octal number. */
static void
unique_name(const char *hostname, char out[static NAME_SIZE])
{
	static uint64_t count;
	char host[HOST_MAX + 1];
	uint64_t now_ms = clock_wall_ms();
	size_t n = 0;

	for (const char *p = hostname; *p != '\0' && n + 4 <= HOST_MAX; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '/' || c == ':' || c == '\\' || c <= ' ')
			n += (size_t)snprintf(host + n, 5, "\\%03o", c);
		else
			host[n++] = *p;
	}
	host[n] = '\0';
	(void)snprintf(out, NAME_SIZE, "%llu.M%lluP%ldQ%llu.%s",
	    (unsigned long long)(now_ms / 1000),
	    (unsigned long long)(now_ms % 1000 * 1000), (long)getpid(),
	    (unsigned long long)++count, host);
}

/* Into new under the same name, never over another file. */
static int
rename_into(int tmp, int new, const char *name)
{
	long rc =
	    syscall(SYS_renameat2, tmp, name, new, name, RENAME_NOREPLACE);

	if (rc == -1 && errno == EINVAL) /* a file system without the flag */
		rc = syscall(SYS_renameat2, tmp, name, new, name, 0);
	if (rc == -1)
		return -1;
	if (fsync(new) == 0)
		return 0;
	/* Whether it stays is not known: better twice than never, and a
	 * result that says "later" must not leave one behind. */
	int saved = errno;

	(void)unlinkat(new, name, 0);
	errno = saved;
	return -1;
}

static int
write_new(int tmp, int new, const char *hostname, struct mail_text *text)
{
	char name[NAME_SIZE];
	int fd, rc, saved;

	unique_name(hostname, name);
	fd = openat(tmp, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	rc = write_mail(fd, text);
	saved = errno;
	if (close(fd) == -1 && rc == 0) {
		saved = errno;
		rc = -1;
	}
	if (rc == 0 && rename_into(tmp, new, name) == 0)
		return 0;
	if (rc == 0)
		saved = errno;
	(void)unlinkat(tmp, name, 0);
	errno = saved;
	return -1;
}

int
maildir_write(int dir, const char *hostname, struct mail_text *text)
{
	int tmp = mdpath_open_one(dir, "tmp");
	int cur = tmp == -1 ? -1 : mdpath_open_one(dir, "cur");
	int new = cur == -1 ? -1 : mdpath_open_one(dir, "new");
	int rc = new == -1 ? -1 : write_new(tmp, new, hostname, text);
	int saved = errno;

	if (tmp != -1)
		(void)close(tmp);
	if (cur != -1)
		(void)close(cur);
	if (new != -1)
		(void)close(new);
	errno = saved;
	return rc;
}
