/* NAME.new, synced, renamed to NAME, the directory synced. Or NAME, longer by
 * some bytes, synced. */
#include "queue/side_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/disk.h"
#include "queue/store_impl.h"

enum { PIECE = 65536, NAME_MAX_BYTES = 64 };

struct writing {
	struct job job; /* the first member */
	int (*write)(struct writing *w);
	int dir;
	const char *name;
	struct buf bytes;
	struct fault why;
	bool failed;
	side_file_fn *fn;
	void *ctx;
};

int
side_file_read(struct store *s, const char *name, struct buf *out)
{
	int fd = openat(s->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint64_t at = 0;
	int64_t n;
	char *p;

	if (fd == -1)
		return -1;
	do {
		p = buf_reserve(out, PIECE);
		n = p == NULL ? -1 : disk_read(fd, p, PIECE, at);
		if (p == NULL)
			errno = EFBIG;
		if (n > 0) {
			buf_commit(out, (size_t)n);
			at += (uint64_t)n;
		}
	} while (n == PIECE);
	int error = errno;
	disk_close(fd);
	errno = error;
	return n == -1 ? -1 : 0;
}

static int
write_whole(struct writing *w)
{
	char temporary[NAME_MAX_BYTES];
	int fd, rc;

	snprintf(temporary, sizeof(temporary), "%.50s.new", w->name);
	fd = openat(w->dir, temporary,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	rc = disk_write(fd, w->bytes.p, w->bytes.len, 0);
	if (rc == 0)
		rc = disk_fsync(fd);
	int error = errno;
	disk_close(fd);
	errno = error;
	if (rc == -1)
		return -1;
	if (renameat(w->dir, temporary, w->dir, w->name) == -1)
		return -1;
	return disk_fsync(w->dir);
}

/* Or the next one would stand behind a piece of what was not written whole. */
static void
cut_back(const struct writing *w, int fd, off_t size)
{
	if (ftruncate(fd, size) == -1)
		log_warn(NULL, "spool", "file=%s error=%s", w->name,
		    log_cstr(strerror(errno)));
}

static int
write_behind(struct writing *w)
{
	struct stat st;
	int fd = openat(w->dir, w->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	int rc, error;

	if (fd == -1)
		return -1;
	rc = fstat(fd, &st);
	error = errno;
	if (rc == 0) {
		rc = disk_write(
		    fd, w->bytes.p, w->bytes.len, (uint64_t)st.st_size);
		if (rc == 0)
			rc = disk_fdatasync(fd);
		error = errno;
		if (rc == -1)
			cut_back(w, fd, st.st_size);
	}
	disk_close(fd);
	errno = error;
	return rc;
}

static void
work(struct job *j)
{
	struct writing *w = (struct writing *)j;

	if (w->write(w) == -1) {
		w->failed = true;
		fault_errno(&w->why, FAULT_OURS, "%s", w->name);
	}
}

static void
done(struct job *j)
{
	struct writing *w = (struct writing *)j;

	w->fn(w->ctx, w->failed ? &w->why : NULL);
	buf_clear(&w->bytes);
	free(w);
}

static void
post(struct store *s, struct writing like, struct buf *bytes)
{
	struct writing *w = xmalloc(sizeof(*w));

	*w = like;
	w->job.work = work;
	w->job.done = done;
	w->dir = s->dir;
	w->bytes = *bytes;
	buf_init(bytes, w->bytes.max);
	housekeep_post(s->housekeep, &w->job, true);
}

void
side_file_write(struct store *s, const char *name, struct buf *bytes,
    side_file_fn *fn, void *ctx)
{
	post(s,
	    (struct writing){
		.write = write_whole, .name = name, .fn = fn, .ctx = ctx },
	    bytes);
}

void
side_file_append(struct store *s, const char *name, struct buf *bytes,
    side_file_fn *fn, void *ctx)
{
	post(s,
	    (struct writing){
		.write = write_behind, .name = name, .fn = fn, .ctx = ctx },
	    bytes);
}

void
side_file_set_aside(struct store *s, const char *name)
{
	char to[NAME_MAX_BYTES];

	snprintf(to, sizeof(to), "%.32s.%llu", name,
	    (unsigned long long)clock_wall_ms());
	if (renameat(s->dir, name, s->corrupt_dir, to) == -1 ||
	    disk_fsync(s->corrupt_dir) == -1 || disk_fsync(s->dir) == -1)
		log_warn(NULL, "spool", "file=%s error=%s", name,
		    log_cstr(strerror(errno)));
}
