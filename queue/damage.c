/* Setting aside what is damaged; see damage.h. */
#include "queue/damage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "queue/disk.h"

enum { NAME_SIZE = 320 };

/* A new file, synced. -1 with errno. */
static int
write_file(int dir, const char *name, const void *p, size_t len)
{
	int fd = openat(dir, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int error;

	if (fd == -1)
		return -1;
	error =
	    disk_write(fd, p, len, 0) == -1 || disk_fsync(fd) == -1 ? errno : 0;
	disk_close(fd);
	/* Half a copy must not pass for one at the next start. */
	if (error != 0)
		unlinkat(dir, name, 0);
	errno = error;
	return error == 0 ? 0 : -1;
}

/* Is there a whole copy from an earlier start? What a crash left of one is
 * removed. */
static bool
has_copy(int dir, const char *name, size_t len)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size == len)
		return true;
	unlinkat(dir, name, 0);
	return false;
}

static int
write_reason(int corrupt, const char *name, const char *text)
{
	char reason[NAME_SIZE + 8];

	snprintf(reason, sizeof(reason), "%s.reason", name);
	if (write_file(corrupt, reason, text, strlen(text)) == -1 &&
	    errno != EEXIST)
		return -1;
	return disk_fsync(corrupt);
}

int
damage_keep(int corrupt, const struct damage *d, const uint8_t *p, size_t len)
{
	char name[NAME_SIZE], text[512];

	snprintf(name, sizeof(name), "%s-%016" PRIx64 "-%" PRIu64, d->segment,
	    d->generation, d->offset);
	snprintf(text, sizeof(text),
	    "segment %s\ngeneration %016" PRIx64 "\noffset %" PRIu64
	    "\nlength %zu\nseq %" PRIu64 "\nreason %s\n",
	    d->segment, d->generation, d->offset, len, d->seq, d->what);
	if (has_copy(corrupt, name, len))
		return disk_fsync(corrupt);
	if (write_file(corrupt, name, p, len) == 0 &&
	    write_reason(corrupt, name, text) == 0) {
		log_warn(NULL, "damage",
		    "segment=%s offset=%" PRIu64 " length=%zu seq=%" PRIu64
		    " reason=%s kept=%s",
		    d->segment, d->offset, len, d->seq, log_cstr(d->what),
		    log_cstr(name));
		return 0;
	}
	log_warn(NULL, "damage",
	    "segment=%s offset=%" PRIu64 " length=%zu seq=%" PRIu64
	    " reason=%s error=%s",
	    d->segment, d->offset, len, d->seq, log_cstr(d->what),
	    log_cstr(strerror(errno)));
	return -1;
}

int
damage_move(int corrupt, int dir, const char *name, const char *what)
{
	char to[NAME_SIZE], text[512];
	int n = 0;

	/* The name may be taken by an earlier one. */
	do {
		snprintf(to, sizeof(to), "%s.%d", name, n++);
		if (renameat2(dir, name, corrupt, to, RENAME_NOREPLACE) == 0)
			break;
		if (errno != EEXIST || n == 10000) {
			log_warn(NULL, "damage", "file=%s reason=%s error=%s",
			    log_cstr(name), log_cstr(what),
			    log_cstr(strerror(errno)));
			return -1;
		}
	} while (true);
	snprintf(text, sizeof(text), "file %s\nreason %s\n", name, what);
	log_warn(NULL, "damage", "file=%s reason=%s kept=%s", log_cstr(name),
	    log_cstr(what), log_cstr(to));
	if (write_reason(corrupt, to, text) == -1)
		return -1;
	return disk_fsync(dir);
}
