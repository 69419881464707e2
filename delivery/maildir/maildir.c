#include "delivery/maildir/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "delivery/maildir/mdpath.h"
#include "lib/base/clock.h"
#include "lib/mail/envelope.h"

enum {
	ROOM = 65536,
	NAME_SIZE = 200,
	HOST_MAX = 64 /* bytes of our name in a file's name */
};

/* A file being written, CRLF to LF on the way; errors stick. */
struct writer {
	int fd;
	int error;
	bool cr; /* a CR is held back at the end of a piece */
	size_t len;
	char room[ROOM];
};

static void
writer_flush(struct writer *w)
{
	size_t done = 0;

	while (w->error == 0 && done < w->len) {
		ssize_t n = write(w->fd, w->room + done, w->len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			w->error = ENOSPC;
		else if (errno != EINTR)
			w->error = errno;
	}
	w->len = 0;
}

static void
writer_put(struct writer *w, const char *p, size_t len)
{
	while (len > 0 && w->error == 0) {
		size_t n = sizeof(w->room) - w->len;

		n = n < len ? n : len;
		memcpy(w->room + w->len, p, n);
		w->len += n;
		p += n;
		len -= n;
		if (w->len == sizeof(w->room))
			writer_flush(w);
	}
}

/* A CR directly before LF goes; any other stays. */
static void
writer_lines(struct writer *w, const char *p, size_t len)
{
	const char *end = p + len;

	while (p < end) {
		const char *cr = memchr(p, '\r', (size_t)(end - p));
		size_t n = (size_t)((cr == NULL ? end : cr) - p);

		if (w->cr && *p != '\n')
			writer_put(w, "\r", 1);
		w->cr = false;
		writer_put(w, p, n);
		p += n;
		if (cr != NULL) {
			w->cr = true;
			p++;
		}
	}
}

static void
write_file(struct writer *w, int file, uint64_t size)
{
	static char room[ROOM];
	uint64_t at = 0;

	while (at < size && w->error == 0) {
		uint64_t left = size - at;
		ssize_t n = pread(
		    file, room, left < ROOM ? (size_t)left : ROOM, (off_t)at);

		if (n > 0) {
			writer_lines(w, room, (size_t)n);
			at += (uint64_t)n;
		} else if (n == 0) {
			w->error = EIO; /* shorter than we were told */
		} else if (errno != EINTR) {
			w->error = errno;
		}
	}
}

/* 0, or -1 with errno. The mail is on disk then, in tmp. */
static int
write_mail(int fd, const struct maildir_mail *m)
{
	static struct writer w;
	char top[2 * ENVELOPE_ADDRESS_MAX + 64];
	int len = snprintf(top, sizeof(top),
	    "Return-Path: <%.*s>\nDelivered-To: %.*s\n", (int)m->from.len,
	    m->from.p, (int)m->rcpt.len, m->rcpt.p);

	w.fd = fd;
	w.error = 0;
	w.cr = false;
	w.len = 0;
	if (len < 0 || (size_t)len >= sizeof(top)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	writer_put(&w, top, (size_t)len);
	writer_lines(&w, m->content.p, m->content.len);
	if (m->file != -1)
		write_file(&w, m->file, m->body_size);
	if (w.cr)
		writer_put(&w, "\r", 1);
	writer_flush(&w);
	if (w.error == 0 && fsync(fd) == -1)
		w.error = errno;
	errno = w.error;
	return w.error == 0 ? 0 : -1;
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
write_new(int tmp, int new, const struct maildir_mail *m)
{
	char name[NAME_SIZE];
	int fd, rc, saved;

	unique_name(m->hostname, name);
	fd = openat(tmp, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	rc = write_mail(fd, m);
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
maildir_write(int dir, const struct maildir_mail *m)
{
	int tmp = mdpath_open_one(dir, "tmp");
	int cur = tmp == -1 ? -1 : mdpath_open_one(dir, "cur");
	int new = cur == -1 ? -1 : mdpath_open_one(dir, "new");
	int rc = new == -1 ? -1 : write_new(tmp, new, m);
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
