/* The store: what the queue asks of the log, and its answers. */
#include "queue/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "queue/disk.h"
#include "queue/store_impl.h"

enum { BODYFILE_TRIES = 100 };

/* --- adding --- */

void
store_flush_soon(struct store *s)
{
	loop_after(s->loop, &s->flush);
}

static void
add_failed(struct store *s, const struct commit_op *op)
{
	committer_push_failed(&s->committer, op);
	store_flush_soon(s);
}

/* Where to write a state or an end; NULL when there is no place for it now:
 * it is remembered and said again. */
static uint8_t *
reserve_for_state(struct store *s, size_t size, const struct commit_op *op)
{
	uint8_t *p;

	if (s->no_room || (s->journal.active == NO_SEGMENT && s->suspect)) {
		add_failed(s, op);
		return NULL;
	}
	p = committer_reserve(&s->committer, size, true);
	if (p == NULL) {
		if (errno != EMSGSIZE)
			space_no_room(s);
		add_failed(s, op);
	}
	return p;
}

static int
add_inline(struct store *s, const struct mail_record *m, size_t size,
    const struct commit_op *op)
{
	struct record_header h = {
		.kind = RECORD_MAIL, .length = (uint32_t)size, .seq = m->seq
	};
	uint8_t *p;

	p = s->suspect || s->no_room ?
		NULL :
		committer_reserve(&s->committer, size, false);
	if (p == NULL) {
		add_failed(s, op);
		space_check(s, true);
		return -1;
	}
	mail_encode(p, m);
	committer_push(&s->committer, &h, op);
	return 0;
}

/* A message whose body file is made durable first. */
struct body_job {
	struct job job;
	struct store *store;
	struct commit_op op;
	int dir;
	uint64_t size;    /* of the file */
	uint8_t *payload; /* owned: the record, encoded */
	size_t length;
	bool failed;
	struct fault why;
};

static void
body_work(struct job *job)
{
	struct body_job *b = (struct body_job *)job;

	b->failed =
	    bodyfile_sync(b->dir, b->op.bodyfile, b->size, &b->why) == -1;
}

static void
body_done(struct job *job)
{
	struct body_job *b = (struct body_job *)job;
	struct store *s = b->store;
	struct record_header h = { .kind = RECORD_MAIL,
		.length = (uint32_t)b->length,
		.seq = b->op.seq };
	uint8_t *p = NULL;

	if (b->failed)
		log_warn(NULL, "spool", "bodyfile=%" PRIu64 " error=%s",
		    b->op.bodyfile, log_cstr(b->why.text));
	else if (!s->suspect && !s->no_room)
		p = committer_reserve(&s->committer, b->length, false);
	if (p != NULL) {
		memcpy(p, b->payload, b->length);
		committer_push(&s->committer, &h, &b->op);
	} else {
		committer_push_failed(&s->committer, &b->op);
	}
	store_flush_soon(s);
	free(b->payload);
	free(b);
}

static void
add_with_body(struct store *s, const struct mail_record *m, size_t size,
    const struct commit_op *op)
{
	struct body_job *b = xcalloc(1, sizeof(*b));

	b->store = s;
	b->op = *op;
	b->dir = s->large_dir;
	b->size = m->body_size;
	b->length = size;
	b->payload = xmalloc(size);
	mail_encode(b->payload, m);
	b->job.work = body_work;
	b->job.done = body_done;
	housekeep_post(s->housekeep, &b->job, true);
}

int
store_add_mail(struct store *s, const struct mail_record *m,
    store_committed_fn *fn, void *ctx)
{
	struct commit_op op = { .kind = RECORD_MAIL,
		.seq = m->seq,
		.nrcpt = m->nrcpt,
		.bodyfile = m->bodyfile,
		.fn = fn,
		.ctx = ctx };
	size_t size = mail_size(m);

	assert(m->seq != 0);
	if (size == 0 || !journal_can_hold(&s->journal, size)) {
		add_failed(s, &op);
		return -1;
	}
	if (m->bodyfile == 0)
		return add_inline(s, m, size, &op);
	add_with_body(s, m, size, &op);
	return 0;
}

void
store_add_state(
    struct store *s, struct store_ref ref, const struct state_record *st)
{
	const struct slot *slot = journal_slot(&s->journal, ref);
	struct commit_op op = {
		.kind = RECORD_STATE, .seq = st->seq, .ref = ref
	};
	struct record_header h = { .kind = RECORD_STATE, .seq = st->seq };
	size_t size = state_size(st);
	uint8_t *p;

	if (slot == NULL || slot->seq != st->seq || size == 0)
		return;
	op.whole = s->restating == st->seq || st->nrcpt == slot->nrcpt;
	h.length = (uint32_t)size;
	h.flags = op.whole ? RECORD_WHOLE : 0;
	p = reserve_for_state(s, size, &op);
	if (p == NULL)
		return;
	state_encode(p, st);
	committer_push(&s->committer, &h, &op);
}

void
store_push_finished(struct store *s, struct store_ref ref, uint64_t seq)
{
	struct commit_op op = {
		.kind = RECORD_FINISHED, .seq = seq, .ref = ref
	};
	struct record_header h = { .kind = RECORD_FINISHED, .seq = seq };

	if (reserve_for_state(s, 0, &op) != NULL)
		committer_push(&s->committer, &h, &op);
	store_flush_soon(s);
}

void
store_finish(struct store *s, struct store_ref ref, uint64_t seq)
{
	const struct slot *slot = journal_slot(&s->journal, ref);

	if (slot != NULL && slot->seq == seq)
		store_push_finished(s, ref, seq);
}

void
store_restate(struct store *s, uint64_t seq)
{
	s->restating = seq;
	s->ops.on_restate(s->ctx, seq);
	s->restating = 0;
	store_flush_soon(s);
}

bool
store_is_dirty(const struct store *s)
{
	return committer_is_dirty(&s->committer);
}

bool
store_is_behind(const struct store *s)
{
	return s->suspect || s->no_room;
}

void
store_commit(struct store *s)
{
	if (!committer_is_dirty(&s->committer))
		return;
	if (committer_write(&s->committer) == -1)
		space_suspect(s, "commit");
	committer_tell(&s->committer);
	s->totals.segments = s->journal.nsegments;
	reuse_tend(s);
	space_check(s, false);
	if (s->reuse.segment != NO_SEGMENT)
		reuse_look(s);
}

/* --- reading --- */

struct read_job {
	struct job job;
	int dir;
	uint32_t number, offset, length;
	uint64_t generation, seq;
	uint8_t *p; /* owned; NULL: failed */
	struct record_header header;
	struct fault why;
	store_read_fn *fn;
	void *ctx;
};

static int
read_now(struct read_job *r)
{
	char name[JOURNAL_NAME];
	struct fault at;
	int fd, rc;

	journal_name(r->number, name);
	fd = openat(r->dir, name, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return fault_errno(&r->why, FAULT_OURS, "segment %s", name);
	rc = journal_read_record(
	    fd, r->generation, r->offset, r->length, r->p, &r->header, &at);
	disk_close(fd);
	if (rc == -1)
		return fault_set(
		    &r->why, at.class, "segment %s %s", name, at.text);
	if (r->header.kind != RECORD_MAIL || r->header.seq != r->seq)
		return fault_set(
		    &r->why, FAULT_PERM, "segment %s: another record", name);
	return 0;
}

static void
read_work(struct job *job)
{
	struct read_job *r = (struct read_job *)job;

	if (r->length == 0)
		return; /* there was none */
	r->p = xmalloc(r->length);
	if (read_now(r) == -1) {
		free(r->p);
		r->p = NULL;
	}
}

static void
read_done(struct job *job)
{
	struct read_job *r = (struct read_job *)job;
	struct mail_decoded m;

	if (r->p == NULL) {
		r->fn(r->ctx, NULL, &r->why);
	} else if (mail_decode(&r->header, r->p + RECORD_HEADER, &m) == -1) {
		fault_set(&r->why, FAULT_PERM, "the record makes no sense");
		r->fn(r->ctx, NULL, &r->why);
	} else {
		r->fn(r->ctx, &m.mail, NULL);
		mail_decoded_clear(&m);
	}
	free(r->p);
	free(r);
}

void
store_read(struct store *s, struct store_ref ref, store_read_fn *fn, void *ctx)
{
	const struct slot *slot = journal_slot(&s->journal, ref);
	struct read_job *r = xcalloc(1, sizeof(*r));

	r->fn = fn;
	r->ctx = ctx;
	r->dir = s->log_dir;
	r->job.work = read_work;
	r->job.done = read_done;
	if (slot == NULL || (slot->flags & SLOT_DEAD)) {
		fault_set(&r->why, FAULT_OURS, "the message is over");
	} else {
		const struct segment *g = &s->journal.segments[ref.segment];

		r->number = g->number;
		r->generation = g->generation;
		r->seq = slot->seq;
		r->offset = slot->offset;
		r->length = slot->length;
	}
	housekeep_post(s->housekeep, &r->job, true);
}

/* --- body files --- */

uint64_t
store_next_seq(struct store *s)
{
	return ++s->journal.last_seq;
}

int
store_bodyfile_new(struct store *s, uint64_t *number)
{
	space_check(s, false);
	if (s->suspect || s->is_short || s->no_room) {
		errno = ENOSPC;
		return -1;
	}
	for (int i = 0; i < BODYFILE_TRIES; i++) {
		int fd;

		*number = store_next_seq(s);
		fd = bodyfile_create(&s->bodies, *number);
		if (fd != -1 || errno != EEXIST)
			return fd;
	}
	return -1;
}

struct drop_job {
	struct job job;
	int dir;
	uint64_t number;
};

static void
drop_work(struct job *job)
{
	struct drop_job *d = (struct drop_job *)job;

	bodyfile_unlink(d->dir, d->number);
}

static void
drop_done(struct job *job)
{
	free(job);
}

void
store_bodyfile_drop(struct store *s, uint64_t number)
{
	struct drop_job *d = xcalloc(1, sizeof(*d));

	d->dir = s->large_dir;
	d->number = number;
	d->job.work = drop_work;
	d->job.done = drop_done;
	housekeep_post(s->housekeep, &d->job, false);
}

int
store_bodyfile_open(struct store *s, uint64_t number)
{
	return bodyfile_open(&s->bodies, number);
}

/* --- what the rest may ask --- */

uint64_t
store_latest_ms(const struct store *s)
{
	return s->latest_ms;
}

uint8_t
store_space(const struct store *s, uint64_t *free_bytes)
{
	if (free_bytes != NULL)
		*free_bytes = s->free_bytes;
	return s->told_space;
}

const struct store_totals *
store_totals(const struct store *s)
{
	return &s->totals;
}
