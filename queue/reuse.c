/*
 * Segments in which nothing lives are used again. What such a segment says of
 * messages that lie elsewhere is said again first, and is durable before the
 * segment is touched: a state outlives every copy of its message.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "queue/disk.h"
#include "queue/store_impl.h"

enum {
	STEP = 1000,   /* messages said again in one round */
	PASSES_MAX = 3 /* then the queue does not say what is asked */
};

static const struct reuse NOTHING = { .segment = NO_SEGMENT };

/* --- jobs --- */

struct file_job {
	struct job job;
	struct store *store;
	int dir;
	uint32_t index, number;
	uint64_t size, last_seq, offset;
	uint8_t *mark; /* owned; NULL: none */
	int fd, error; /* what came of it */
};

static struct file_job *
file_job_new(struct store *s, uint32_t index, uint32_t number)
{
	struct file_job *f = xcalloc(1, sizeof(*f));

	f->store = s;
	f->dir = s->log_dir;
	f->index = index;
	f->number = number;
	f->size = s->journal.segment_size;
	f->last_seq = s->journal.last_seq;
	f->fd = -1;
	return f;
}

static void
file_job_post(
    struct file_job *f, void (*work)(struct job *), void (*done)(struct job *))
{
	f->job.work = work;
	f->job.done = done;
	housekeep_post(f->store->housekeep, &f->job, false);
}

static void
fill_work(struct job *job)
{
	struct file_job *f = (struct file_job *)job;

	f->fd = journal_fill(f->dir, f->number, f->size, f->last_seq);
	f->error = errno;
}

static void
fill_done(struct job *job)
{
	struct file_job *f = (struct file_job *)job;
	struct store *s = f->store;

	s->reuse.filling--;
	if (f->fd == -1) {
		log_warn(NULL, "spool", "segment=%08" PRIx32 " create=%s",
		    f->number, log_cstr(strerror(f->error)));
		s->reuse.barren = true;
		space_check(s, true);
		space_look_later(s);
	} else {
		uint32_t index = journal_add(&s->journal);

		s->journal.segments[index].number = f->number;
		journal_add_spare(&s->journal, index, f->fd, f->size);
		space_has_spare(s);
	}
	free(f);
}

static void
seal_work(struct job *job)
{
	struct file_job *f = (struct file_job *)job;

	if (f->mark != NULL &&
	    (disk_write(f->fd, f->mark, SEGMENT_BLOCK, f->offset) == -1 ||
		disk_fdatasync(f->fd) == -1))
		log_warn(NULL, "spool", "segment=%08" PRIx32 " mark=%s",
		    f->number, log_cstr(strerror(errno)));
	disk_close(f->fd);
}

static void
seal_done(struct job *job)
{
	struct file_job *f = (struct file_job *)job;

	free(f->mark);
	free(f);
}

static void
reset_work(struct job *job)
{
	struct file_job *f = (struct file_job *)job;

	f->fd = journal_reset(f->dir, f->number, f->size, f->last_seq);
	f->error = errno;
}

static void
remove_work(struct job *job)
{
	struct file_job *f = (struct file_job *)job;

	f->error = journal_remove(f->dir, f->number) == -1 ? errno : 0;
}

/* It could not be touched: its books go on protecting what they did. */
static void
keep_abandoned(struct store *s, const struct file_job *f)
{
	struct segment *g = &s->journal.segments[f->index];

	log_warn(NULL, "spool", "segment=%08" PRIx32 " reuse=%s", f->number,
	    log_cstr(strerror(f->error)));
	g->state = SEGMENT_ABANDONED;
	g->stuck = true;
}

static void
leave_end(struct store *s)
{
	s->reuse.segment = NO_SEGMENT;
	s->reuse.leaving = false;
	reuse_look(s);
	reuse_tend(s);
}

static void
reset_done(struct job *job)
{
	struct file_job *f = (struct file_job *)job;
	struct store *s = f->store;

	if (f->fd == -1) {
		keep_abandoned(s, f);
	} else {
		journal_add_spare(&s->journal, f->index, f->fd, f->size);
		s->totals.segments_reused++;
		space_has_spare(s);
	}
	free(f);
	leave_end(s);
}

static void
remove_done(struct job *job)
{
	struct file_job *f = (struct file_job *)job;
	struct store *s = f->store;

	if (f->error != 0)
		keep_abandoned(s, f);
	else
		journal_del(&s->journal, f->index);
	free(f);
	leave_end(s);
}

/* --- tending --- */

static void
seal(struct store *s, uint32_t index)
{
	struct segment *g = &s->journal.segments[index];
	struct file_job *f = file_job_new(s, index, g->number);

	f->fd = g->fd;
	f->offset = g->end;
	if (g->end + SEGMENT_BLOCK <= g->size) {
		f->mark = xmalloc(SEGMENT_BLOCK);
		journal_encode_mark(&s->journal, index, g->end, f->mark);
	}
	g->fd = -1;
	g->state = SEGMENT_SEALED;
	file_job_post(f, seal_work, seal_done);
}

static void
fill(struct store *s)
{
	struct journal *j = &s->journal;
	bool enough = s->free_bytes >= j->segment_size && !s->is_short;

	if (s->reuse.barren)
		return;
	/* The last spare is there for states, even on a disk that is short. */
	while (j->nspares + s->reuse.filling < JOURNAL_SPARES &&
	       (enough || j->nspares + s->reuse.filling == 0)) {
		s->reuse.filling++;
		file_job_post(file_job_new(s, NO_SEGMENT, j->next_number++),
		    fill_work, fill_done);
	}
}

/* One that was left in this round still gets what gathered for it: its turn
 * comes after the commit. */
static void
seal_full(struct store *s)
{
	struct journal *j = &s->journal;
	uint64_t opened = j->opened;

	for (uint32_t i = 0; i < j->nsegments; i++) {
		if (j->segments[i].state != SEGMENT_FULL)
			continue;
		if (committer_uses(&s->committer, i))
			opened = s->opened;
		else
			seal(s, i);
	}
	s->opened = opened;
}

void
reuse_tend(struct store *s)
{
	if (s->closing)
		return;
	if (s->opened != s->journal.opened)
		seal_full(s);
	if (s->reuse.segment == NO_SEGMENT)
		fill(s);
}

/* --- emptying --- */

static uint64_t
newest_generation(const struct journal *j)
{
	uint64_t newest = 0;

	for (uint32_t i = 0; i < j->nsegments; i++) {
		const struct segment *g = &j->segments[i];

		/* An abandoned one's header may never have been written. */
		if (g->generation > newest && g->end > 0)
			newest = g->generation;
	}
	return newest;
}

/* The newest stays: its header holds the counters and the cuts. */
static uint32_t
find_dead(const struct journal *j)
{
	uint64_t newest = newest_generation(j);
	uint32_t best = NO_SEGMENT;

	for (uint32_t i = 0; i < j->nsegments; i++) {
		const struct segment *g = &j->segments[i];

		if ((g->state != SEGMENT_SEALED &&
			g->state != SEGMENT_ABANDONED) ||
		    g->live > 0 || g->pinned || g->stuck ||
		    g->generation == newest)
			continue;
		if (best == NO_SEGMENT ||
		    g->generation < j->segments[best].generation)
			best = i;
	}
	return best;
}

/* Does this message still need what the segment says? */
static bool
slot_needs(
    const struct journal *j, const struct slot *slot, uint64_t generation)
{
	if (slot->state_first == NO_SEGMENT || (slot->flags & SLOT_OLD_COPY))
		return false;
	return j->segments[slot->state_first].generation <= generation &&
	       generation <= j->segments[slot->state_last].generation;
}

static void
say_again(struct store *s, struct store_ref ref)
{
	const struct slot slot = *journal_slot(&s->journal, ref);

	s->reuse.found = true;
	if (slot.flags & (SLOT_DEAD | SLOT_ENDING))
		store_push_finished(s, ref, slot.seq);
	else
		store_restate(s, slot.seq);
}

/* Goes on through the books for at most STEP messages; true at their end. */
static bool
carry(struct store *s)
{
	struct reuse *r = &s->reuse;
	struct journal *j = &s->journal;
	uint64_t generation = j->segments[r->segment].generation;
	unsigned int n = 0;

	for (; r->at_segment < j->nsegments; r->at_segment++, r->at_slot = 0) {
		const struct segment *g = &j->segments[r->at_segment];

		/* A state never lies before its message. */
		if (r->at_segment == r->segment || g->generation > generation)
			continue;
		for (; r->at_slot < j->segments[r->at_segment].nslots;
		     r->at_slot++) {
			struct store_ref ref = { r->at_segment, r->at_slot };

			if (n == STEP)
				return false;
			if (!slot_needs(j, journal_slot(j, ref), generation))
				continue;
			say_again(s, ref);
			n++;
		}
	}
	return true;
}

static void
leave(struct store *s)
{
	struct journal *j = &s->journal;
	struct segment *g = &j->segments[s->reuse.segment];
	struct file_job *f = file_job_new(s, s->reuse.segment, g->number);
	bool again = g->state == SEGMENT_SEALED && !g->cut &&
		     g->size == j->segment_size &&
		     j->nspares < JOURNAL_SPARES + (s->is_short ? 0 : 2);

	g->state = SEGMENT_LEAVING;
	s->reuse.leaving = true;
	if (again)
		file_job_post(f, reset_work, reset_done);
	else
		file_job_post(f, remove_work, remove_done);
}

static void
begin_pass(struct reuse *r)
{
	r->at_segment = r->at_slot = 0;
	r->found = false;
	r->passes++;
}

static void
step(void *ctx)
{
	struct store *s = ctx;
	struct reuse *r = &s->reuse;

	if (s->suspect || s->closing || r->leaving ||
	    committer_is_dirty(&s->committer))
		return; /* the end of the next commit looks again */
	if (r->segment == NO_SEGMENT) {
		r->segment = find_dead(&s->journal);
		if (r->segment == NO_SEGMENT)
			return;
		r->passes = 0;
		begin_pass(r);
	}
	if (!carry(s)) {
		loop_after(s->loop, &r->step);
	} else if (!r->found) {
		leave(s);
	} else if (r->passes == PASSES_MAX) {
		s->journal.segments[r->segment].stuck = true;
		r->segment = NO_SEGMENT;
	} else {
		begin_pass(r);
		loop_after(s->loop, &r->step);
	}
}

void
reuse_init(struct store *s)
{
	s->reuse = NOTHING;
	deferred_init(&s->reuse.step, step, s);
}

void
reuse_look(struct store *s)
{
	if (!s->closing)
		loop_after(s->loop, &s->reuse.step);
}
