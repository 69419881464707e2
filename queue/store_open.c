/* Opening and closing a spool: lock, version, directories, recovery. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/disk.h"
#include "queue/recover.h"
#include "queue/store_impl.h"

static const char FORMAT[] = "postern spool 4\n";
/* Version 1 knew no quarantine, version 2 no wishes of senders, version 3 not
 * what was before a change; everything in them means the same now. What wrote
 * them must not meet what we write. */
static const char *const OLD_FORMATS[] = { "postern spool 1\n",
	"postern spool 2\n", "postern spool 3\n" };

enum {
	FORMAT_LEN = sizeof(FORMAT) - 1,
	SEGMENT_SIZE_MIN = 4194304, /* the largest inline mail, and room */
	CLOSE_ROUNDS = 10
};

enum format { FORMAT_NONE, FORMAT_OLD, FORMAT_OURS };

/* enum format; -1 with why. */
static int
format_check(int dir, struct fault *why)
{
	char text[FORMAT_LEN + 1];
	int fd = openat(dir, "format", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int64_t n;

	if (fd == -1 && errno == ENOENT)
		return FORMAT_NONE;
	if (fd == -1)
		return fault_errno(why, FAULT_OURS, "spool: format");
	n = disk_read(fd, text, sizeof(text), 0);
	disk_close(fd);
	/* A start that was interrupted while it wrote this; nothing else was
	 * there yet, which open_spool() looks at. */
	if (n >= 0 && n < FORMAT_LEN && memcmp(text, FORMAT, (size_t)n) == 0)
		return FORMAT_NONE;
	if (n == FORMAT_LEN && memcmp(text, FORMAT, FORMAT_LEN) == 0)
		return FORMAT_OURS;
	for (size_t i = 0; i < sizeof(OLD_FORMATS) / sizeof(OLD_FORMATS[0]);
	     i++)
		if (n == FORMAT_LEN &&
		    memcmp(text, OLD_FORMATS[i], FORMAT_LEN) == 0)
			return FORMAT_OLD;
	return fault_set(
	    why, FAULT_OURS, "spool: its format is not known to this version");
}

static int
format_write(int dir, struct fault *why)
{
	int fd = openat(
	    dir, "format", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = 0;

	if (fd == -1)
		return fault_errno(why, FAULT_OURS, "spool: format");
	if (disk_write(fd, FORMAT, FORMAT_LEN, 0) == -1 ||
	    disk_fsync(fd) == -1 || disk_fsync(dir) == -1)
		rc = fault_errno(why, FAULT_OURS, "spool: format");
	disk_close(fd);
	return rc;
}

static int
take_lock(struct store *s, struct fault *why)
{
	s->lock = openat(
	    s->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->lock == -1)
		return fault_errno(why, FAULT_OURS, "spool: lock");
	if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return fault_set(
		    why, FAULT_OURS, "spool: another queue is running on it");
	return fault_errno(why, FAULT_OURS, "spool: lock");
}

static int
open_dir(int dir, const char *name, struct fault *why)
{
	int fd;

	if (mkdirat(dir, name, 0700) == -1 && errno != EEXIST)
		return fault_errno(why, FAULT_OURS, "spool: %s", name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return fault_errno(why, FAULT_OURS, "spool: %s", name);
	return fd;
}

/* Or is not there at all. */
static bool
log_is_empty(int dir)
{
	int fd = openat(dir, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	unsigned int n = 0;

	if (d == NULL) {
		disk_close(fd);
		return errno == ENOENT;
	}
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n <= 2;
}

static int
open_spool(struct store *s, struct fault *why)
{
	/* Looked at before anything is made: an unknown version is left
	 * exactly as it is. */
	int format = format_check(s->dir, why);

	if (format == -1 || take_lock(s, why) == -1)
		return -1;
	if (format == FORMAT_NONE && !log_is_empty(s->dir))
		return fault_set(why, FAULT_OURS,
		    "spool: there is a log, but no format file");
	s->log_dir = open_dir(s->dir, "log", why);
	s->large_dir = open_dir(s->dir, "large", why);
	s->corrupt_dir = open_dir(s->dir, "corrupt", why);
	if (s->log_dir == -1 || s->large_dir == -1 || s->corrupt_dir == -1)
		return -1;
	if (format != FORMAT_OURS && format_write(s->dir, why) == -1)
		return -1;
	return 0;
}

static int
recover(struct store *s, struct fault *why)
{
	struct recover_ask ask = { .corrupt = s->corrupt_dir,
		.ops = &s->ops,
		.ctx = s->ctx,
		.claim_body = bodyfiles_claim,
		.body_ctx = &s->bodies,
		.why = why };
	struct recover_result got;
	enum orphans orphans = ORPHANS_REMOVED;
	uint64_t began = clock_mono_ms();

	if (recover_log(&s->journal, &ask, &got) == -1)
		return -1;
	s->latest_ms = got.latest_ms;
	if (got.unreadable)
		orphans = ORPHANS_LEFT;
	else if (got.damaged > 0)
		orphans = ORPHANS_SET_ASIDE;
	if (bodyfiles_sweep(&s->bodies, orphans, &s->journal.last_seq, why) ==
	    -1)
		return -1;
	log_info(NULL, "recovered",
	    "messages=%llu segments=%u damaged=%llu torn=%llu ms=%llu",
	    (unsigned long long)got.messages, s->journal.nsegments,
	    (unsigned long long)got.damaged, (unsigned long long)got.torn,
	    (unsigned long long)(clock_mono_ms() - began));
	return 0;
}

/* Recovery met messages that cannot be delivered: the log forgets them. */
static void
finish_given_up(struct store *s)
{
	const struct journal *j = &s->journal;

	for (uint32_t i = 0; i < j->nsegments; i++) {
		for (uint32_t k = 0; k < j->segments[i].nslots; k++) {
			const struct slot *slot = &j->segments[i].slots[k];

			if ((slot->flags & (SLOT_ENDING | SLOT_DEAD)) ==
			    SLOT_ENDING)
				store_push_finished(
				    s, (struct store_ref){ i, k }, slot->seq);
		}
	}
}

static void
on_flush(void *ctx)
{
	store_commit(ctx);
}

static void
on_told(void *ctx, const struct commit_op *op, bool ok)
{
	struct store *s = ctx;
	uint64_t number;

	if (op->kind == RECORD_FINISHED) {
		number = bodyfiles_take(&s->bodies, op->seq);
		if (number != 0)
			store_bodyfile_drop(s, number);
		if (s->journal.segments[op->ref.segment].live == 0)
			reuse_look(s);
	} else if (op->bodyfile != 0 && ok) {
		bodyfiles_add(&s->bodies, op->seq, op->bodyfile);
	} else if (op->bodyfile != 0 &&
		   !bodyfiles_has(&s->bodies, op->bodyfile)) {
		store_bodyfile_drop(s, op->bodyfile);
	}
}

static void
store_free(struct store **sp)
{
	struct store *s = *sp;

	loop_after_cancel(s->loop, &s->flush);
	loop_after_cancel(s->loop, &s->reuse.step);
	space_clear(s);
	housekeep_free(&s->housekeep);
	committer_clear(&s->committer);
	journal_clear(&s->journal);
	bodyfiles_clear(&s->bodies);
	disk_close(s->log_dir);
	disk_close(s->large_dir);
	disk_close(s->corrupt_dir);
	disk_close(s->lock);
	disk_close(s->dir);
	free(s);
	*sp = NULL;
}

struct store *
store_new(struct loop *l)
{
	struct store *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	s->dir = s->lock = s->log_dir = s->large_dir = s->corrupt_dir = -1;
	journal_init(&s->journal, -1, 0);
	committer_init(&s->committer, &s->journal, &s->totals);
	s->committer.on_told = on_told;
	s->committer.ctx = s;
	deferred_init(&s->flush, on_flush, s);
	bodyfiles_init(&s->bodies, -1, -1);
	reuse_init(s);
	s->housekeep = housekeep_new(l);
	if (s->housekeep == NULL)
		fatal_errno("eventfd");
	return s;
}

int
store_start_thread(struct store *s)
{
	return housekeep_start(s->housekeep);
}

int
/* NOLINTNEXTLINE(readability-function-size): all that the queue brings */
store_open(struct store *s, int dir, const struct queue_settings *settings,
    uint64_t max_message, const struct store_ops *ops, void *ctx,
    struct fault *why)
{
	uint64_t size = settings->segment_size;

	s->dir = dir;
	s->settings = *settings;
	s->max_message = max_message;
	s->ops = *ops;
	s->ctx = ctx;
	if (size < SEGMENT_SIZE_MIN)
		size = SEGMENT_SIZE_MIN;
	if (open_spool(s, why) == -1)
		return -1;
	journal_init(&s->journal, s->log_dir, size);
	bodyfiles_init(&s->bodies, s->large_dir, s->corrupt_dir);
	if (recover(s, why) == -1)
		return -1;
	space_init(s);
	s->opened = s->journal.opened;
	finish_given_up(s);
	/* Before the first mail there is a segment to write it to. */
	reuse_tend(s);
	housekeep_drain(s->housekeep);
	reuse_look(s);
	return 0;
}

void
store_set_settings(struct store *s, const struct queue_settings *settings,
    uint64_t max_message)
{
	s->settings = *settings;
	s->max_message = max_message;
	space_check(s, true);
}

/* Says that the last batch was durable, so that damage to it can be told from
 * a torn tail at the next start. */
static void
mark_end(struct store *s)
{
	struct journal *j = &s->journal;
	uint8_t *block;
	struct segment *g;

	if (j->active == NO_SEGMENT)
		return;
	g = &j->segments[j->active];
	if (g->end == 0 || g->end + SEGMENT_BLOCK > g->size)
		return;
	block = xmalloc(SEGMENT_BLOCK);
	journal_encode_mark(j, j->active, g->end, block);
	if (disk_write(g->fd, block, SEGMENT_BLOCK, g->end) == -1 ||
	    disk_fdatasync(g->fd) == -1)
		log_warn(NULL, "spool", "mark=%s", log_cstr(strerror(errno)));
	free(block);
}

void
store_close(struct store **sp)
{
	struct store *s = *sp;

	if (s == NULL)
		return;
	housekeep_drain(s->housekeep);
	for (int i = 0; i < CLOSE_ROUNDS && store_is_dirty(s); i++) {
		store_commit(s);
		housekeep_drain(s->housekeep);
	}
	s->closing = true;
	housekeep_drain(s->housekeep);
	mark_end(s);
	store_free(sp);
}
