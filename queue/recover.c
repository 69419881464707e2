/* Recovery; see recover.h. */
#include "queue/recover.h"

#include <assert.h>
#include <bsd/sys/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/bytes.h"
#include "lib/base/log.h"
#include "queue/damage.h"
#include "queue/disk.h"
#include "queue/inventory.h"
#include "queue/scan.h"
#include "queue/seqmap.h"

enum {
	MAIL_NRCPT_AT = 28, /* of u32 nrcpt in a mail's payload */
	STATE_NRCPT_AT = 16
};

/* A state record, to be told when all is known. */
struct state_at {
	uint64_t ordinal; /* place among all records of the log */
	uint64_t seq;
	uint32_t segment, offset, length, nrcpt;
	bool whole;
};

struct recovery {
	struct journal *j;
	const struct recover_ask *ask;
	struct recover_result *result;
	struct inventory files;
	struct seqmap map;
	struct state_at *states; /* owned */
	size_t nstates, capstates;
	uint64_t ordinal;
	uint32_t now; /* the segment being read: index */
};

/* --- how far each segment was durable --- */

static struct found_segment *
find_generation(struct recovery *r, uint64_t generation)
{
	size_t lo = 0, hi = r->files.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->files.found[mid].header.generation < generation)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < r->files.n &&
	    r->files.found[lo].header.generation == generation)
		return &r->files.found[lo];
	return NULL;
}

static void
raise_limit(struct recovery *r, uint64_t generation, uint64_t end)
{
	struct found_segment *f = find_generation(r, generation);

	if (f != NULL && end > f->scan.limit)
		f->scan.limit = end;
}

static void
apply_cut(struct recovery *r, const struct segment_cut *cut)
{
	struct found_segment *f = find_generation(r, cut->generation);

	if (f == NULL)
		return;
	f->scan.stop = cut->end;
	raise_limit(r, cut->generation, cut->end);
}

static void
apply_marks(struct recovery *r)
{
	for (size_t i = 0; i < r->files.n; i++) {
		const struct found_segment *f = &r->files.found[i];

		for (size_t k = 0; k < f->scan.nbatches; k++) {
			const struct scan_batch *b = &f->scan.batches[k];

			raise_limit(r, b->mark_generation, b->mark_offset);
		}
		/* A batch of its own says the same; the header is there
		 * before any. */
		raise_limit(r, f->header.prev_generation, f->header.prev_end);
		for (uint32_t k = 0; k < f->header.ncuts; k++)
			apply_cut(r, &f->header.cuts[k]);
	}
}

static int
scan_all(struct recovery *r)
{
	for (size_t i = 0; i < r->files.n; i++) {
		struct found_segment *f = &r->files.found[i];
		int fd = inventory_open(&r->files, f);

		if (fd == -1)
			return fault_errno(
			    r->ask->why, FAULT_OURS, "segment %s", f->name);
		/* What a dead process wrote and nobody synced must not be
		 * there now and gone after the next power cut. */
		if (i + 1 == r->files.n && disk_fdatasync(fd) == -1) {
			fault_errno(r->ask->why, FAULT_OURS,
			    "sync of segment %s", f->name);
			disk_close(fd);
			return -1;
		}
		scan_init(&f->scan, fd, f->header.size, f->header.generation);
		scan_batches(&f->scan);
		scan_forget_window(&f->scan);
		disk_close(fd);
		if (f->scan.last_batch >= r->j->next_batch)
			r->j->next_batch = f->scan.last_batch + 1;
	}
	return 0;
}

/* --- the records, in the order of the log --- */

/* Mails and states begin with a time. */
static void
see_time(struct recovery *r, const struct scan_record *rec)
{
	uint64_t ms;

	if (rec->header.length < sizeof(ms))
		return;
	ms = get_le64(rec->payload);
	if (ms > r->result->latest_ms)
		r->result->latest_ms = ms;
}

static void
see_mail(struct recovery *r, const struct scan_record *rec)
{
	struct seq_entry *e = seqmap_get(&r->map, rec->header.seq);
	struct slot slot = { .seq = rec->header.seq,
		.offset = (uint32_t)rec->offset,
		.length = rec->length,
		.state_first = NO_SEGMENT,
		.state_last = NO_SEGMENT };

	if (rec->header.length >= MAIL_NRCPT_AT + 4)
		slot.nrcpt = get_le32(rec->payload + MAIL_NRCPT_AT);
	e->nrcpt = slot.nrcpt;
	e->has_mail = true;
	e->ref.segment = r->now;
	e->ref.slot = journal_add_slot(r->j, r->now, &slot);
}

static void
see_state(struct recovery *r, const struct scan_record *rec)
{
	struct state_at *s;

	if (r->nstates == r->capstates) {
		r->capstates = r->capstates * 2 + 1024;
		r->states =
		    xreallocarray(r->states, r->capstates, sizeof(*r->states));
	}
	s = &r->states[r->nstates++];
	*s = (struct state_at){ .ordinal = r->ordinal,
		.seq = rec->header.seq,
		.segment = r->now,
		.offset = (uint32_t)rec->offset,
		.length = rec->length,
		.whole = (rec->header.flags & RECORD_WHOLE) != 0 };
	if (rec->header.length >= STATE_NRCPT_AT + 4)
		s->nrcpt = get_le32(rec->payload + STATE_NRCPT_AT);
}

static void
on_record(void *ctx, const struct scan_record *rec)
{
	struct recovery *r = ctx;
	struct seq_entry *e;

	r->ordinal++;
	if (rec->header.seq > r->j->last_seq)
		r->j->last_seq = rec->header.seq;
	switch ((enum record_kind)rec->header.kind) {
	case RECORD_MAIL:
		see_time(r, rec);
		see_mail(r, rec);
		break;
	case RECORD_STATE:
		see_time(r, rec);
		see_state(r, rec);
		break;
	case RECORD_FINISHED:
		e = seqmap_get(&r->map, rec->header.seq);
		e->finished = true;
		e->finished_in = r->now;
		break;
	}
}

static void
set_aside(
    struct recovery *r, const struct damage *d, const uint8_t *p, size_t len)
{
	r->result->damaged++;
	if (damage_keep(r->ask->corrupt, d, p, len) == -1)
		r->j->segments[r->now].pinned = true;
}

static void
on_damage(
    void *ctx, uint64_t offset, const uint8_t *p, size_t len, uint64_t seq)
{
	struct recovery *r = ctx;
	char name[JOURNAL_NAME];
	struct damage d = { .what = "durable bytes that fail their checksum",
		.segment = name,
		.generation = r->j->segments[r->now].generation,
		.offset = offset,
		.seq = seq };

	journal_name(r->j->segments[r->now].number, name);
	set_aside(r, &d, p, len);
}

static const struct scan_ops record_ops = { on_record, on_damage };

static void
book_segment(struct recovery *r, struct found_segment *f)
{
	struct segment *s = &r->j->segments[f->index];

	s->end = f->scan.end;
	s->cut = f->scan.torn;
	if (f->scan.stop != UINT64_MAX) {
		s->cut = true;
		s->end = f->scan.stop;
	}
	if (f->scan.torn) {
		r->result->torn++;
		log_info(NULL, "torn", "segment=%s end=%llu", f->name,
		    (unsigned long long)s->end);
	}
	r->j->mark_generation = s->generation;
	r->j->mark_offset = s->end;
}

/* A segment has its full length before it is used: what is missing was
 * taken away, and no tail of what is left is merely torn. */
static void
note_length(struct recovery *r, struct found_segment *f)
{
	struct damage d = { .what =
				"the file is not as long as its header says",
		.segment = f->name,
		.generation = f->header.generation,
		.offset = f->header.size };

	f->scan.limit = f->header.size;
	set_aside(r, &d, NULL, 0);
}

/* Another time the disk may give what it keeps back now: the file stays as it
 * is, and its tail is not taken for torn. */
static int
read_segment(struct recovery *r, struct found_segment *f)
{
	if (f->scan.unreadable)
		f->scan.limit = f->header.size;
	scan_records(&f->scan, &record_ops, r);
	disk_close(f->scan.fd);
	if (!f->scan.unreadable)
		return 0;
	r->result->unreadable = true;
	r->j->segments[f->index].pinned = true;
	log_warn(NULL, "damage", "segment=%s reason=%s", f->name,
	    log_cstr("the disk does not give all of it"));
	if (!f->scan.torn)
		return 0;
	return fault_set(r->ask->why, FAULT_OURS,
	    "segment %s: its tail cannot be read", f->name);
}

static int
read_all(struct recovery *r)
{
	for (size_t i = 0; i < r->files.n; i++) {
		struct found_segment *f = &r->files.found[i];
		struct segment *s;

		f->scan.fd = inventory_open(&r->files, f);
		if (f->scan.fd == -1)
			return fault_errno(
			    r->ask->why, FAULT_OURS, "segment %s", f->name);
		r->now = f->index = journal_add(r->j);
		s = &r->j->segments[f->index];
		s->state = SEGMENT_SEALED;
		s->number = f->header.number;
		s->generation = f->header.generation;
		/* A file of another length is not used again. */
		s->size = f->is_whole ? f->header.size : 0;
		if (!f->is_whole)
			note_length(r, f);
		if (read_segment(r, f) == -1)
			return -1;
		book_segment(r, f);
		scan_clear(&f->scan);
	}
	return 0;
}

/* --- what it comes to --- */

static void
settle_states(struct recovery *r)
{
	for (size_t i = 0; i < r->nstates; i++) {
		struct state_at *at = &r->states[i];
		struct seq_entry *e = seqmap_find(&r->map, at->seq);
		struct slot *slot;

		if (e == NULL || !e->has_mail || e->finished)
			continue;
		slot = journal_slot(r->j, e->ref);
		at->whole = at->whole || at->nrcpt == e->nrcpt;
		if (at->whole)
			e->whole = at->ordinal;
		if (at->whole || slot->state_first == NO_SEGMENT)
			slot->state_first = at->segment;
		slot->state_last = at->segment;
	}
}

static void
settle_slot(struct recovery *r, uint32_t segment, uint32_t index)
{
	struct segment *s = &r->j->segments[segment];
	struct slot *slot = &s->slots[index];
	const struct seq_entry *e = seqmap_find(&r->map, slot->seq);

	assert(e != NULL && e->has_mail);
	if (e->finished) {
		slot->flags |= SLOT_DEAD;
		slot->state_first = slot->state_last = e->finished_in;
	} else if (e->ref.segment != segment || e->ref.slot != index) {
		slot->flags |= SLOT_OLD_COPY;
	} else {
		return;
	}
	s->live--;
}

static void
settle(struct recovery *r)
{
	settle_states(r);
	for (uint32_t i = 0; i < r->j->nsegments; i++) {
		for (uint32_t k = 0; k < r->j->segments[i].nslots; k++)
			settle_slot(r, i, k);
	}
}

/* --- telling --- */

/* The record's bytes in a buffer that grows; NULL when unreadable. */
struct reader {
	struct recovery *r;
	uint32_t segment; /* whose fd is open */
	int fd;
	uint8_t *p; /* owned */
	size_t cap;
	struct record_header header;
	bool failed; /* the disk did not give what it gave before */
};

static int
reader_get(struct reader *rd, uint32_t segment, uint32_t offset,
    uint32_t length, struct fault *why)
{
	const struct segment *s = &rd->r->j->segments[segment];

	if (rd->fd == -1 || rd->segment != segment) {
		char name[JOURNAL_NAME];

		disk_close(rd->fd);
		journal_name(s->number, name);
		rd->fd = openat(rd->r->j->dir, name, O_RDONLY | O_CLOEXEC);
		rd->segment = segment;
		if (rd->fd == -1)
			return fault_errno(why, FAULT_OURS, "open");
	}
	if (length > rd->cap) {
		rd->p = xreallocarray(rd->p, length, 1);
		rd->cap = length;
	}
	return journal_read_record(
	    rd->fd, s->generation, offset, length, rd->p, &rd->header, why);
}

/* A record that was good a moment ago. When it is damaged now it is given up;
 * else the disk is in trouble, and nobody's mail ends because of that. */
static bool
reader_is_lost(struct reader *rd, uint32_t segment, const struct fault *why)
{
	if (why->class == FAULT_PERM)
		return true;
	rd->failed = true;
	fault_set(rd->r->ask->why, why->class, "segment %08x %s",
	    (unsigned int)rd->r->j->segments[segment].number, why->text);
	return false;
}

/* It cannot be delivered; its record stays aside and the log forgets it. */
static void
give_up_mail(struct reader *rd, struct store_ref ref, const char *what)
{
	struct slot *slot = journal_slot(rd->r->j, ref);
	const struct segment *s = &rd->r->j->segments[ref.segment];
	char name[JOURNAL_NAME];
	struct damage d = { .what = what,
		.segment = name,
		.generation = s->generation,
		.offset = slot->offset,
		.seq = slot->seq };

	journal_name(s->number, name);
	rd->r->now = ref.segment;
	set_aside(rd->r, &d, rd->p, slot->length);
	slot->flags |= SLOT_LOST_STATE | SLOT_ENDING;
}

static void
tell_mail(struct reader *rd, struct store_ref ref)
{
	const struct slot *slot = journal_slot(rd->r->j, ref);
	const struct recover_ask *ask = rd->r->ask;
	struct mail_decoded m;
	struct fault why;
	const char *body = NULL;

	if (reader_get(rd, ref.segment, slot->offset, slot->length, &why) ==
	    -1) {
		if (reader_is_lost(rd, ref.segment, &why))
			give_up_mail(rd, ref, why.text);
		return;
	}
	if (mail_decode(&rd->header, rd->p + RECORD_HEADER, &m) == -1) {
		give_up_mail(rd, ref, "the record makes no sense");
		return;
	}
	if (m.mail.bodyfile != 0)
		body = ask->claim_body(ask->body_ctx, &m.mail);
	if (body != NULL) {
		give_up_mail(rd, ref, body);
	} else {
		rd->r->result->messages++;
		ask->ops->on_mail(ask->ctx, &m.mail, ref);
	}
	mail_decoded_clear(&m);
}

static void
tell_mails(struct reader *rd)
{
	struct journal *j = rd->r->j;
	const struct recover_ask *ask = rd->r->ask;

	/* Segments were added in the order of their generations. */
	for (uint32_t i = 0; i < j->nsegments; i++) {
		for (uint32_t k = 0; k < j->segments[i].nslots; k++) {
			const struct slot *slot = &j->segments[i].slots[k];

			if (rd->failed)
				return;
			if (slot->flags & SLOT_OLD_COPY)
				continue;
			if ((slot->flags & SLOT_DEAD) == 0)
				tell_mail(rd, (struct store_ref){ i, k });
			else if (ask->ops->on_finished != NULL)
				ask->ops->on_finished(ask->ctx, slot->seq);
		}
	}
}

static void
tell_state(struct reader *rd, const struct state_at *at)
{
	const struct recover_ask *ask = rd->r->ask;
	struct state_decoded st;
	struct fault why;

	if (reader_get(rd, at->segment, at->offset, at->length, &why) == -1) {
		if (!reader_is_lost(rd, at->segment, &why))
			return;
	} else if (state_decode(rd->p + RECORD_HEADER, rd->header.length,
		       at->seq, &st) == 0) {
		ask->ops->on_state(ask->ctx, &st.state);
		state_decoded_clear(&st);
		return;
	}
	rd->r->result->damaged++;
	log_warn(NULL, "damage", "seq=%llu reason=%s",
	    (unsigned long long)at->seq, log_cstr("unreadable state record"));
}

static void
tell_states(struct reader *rd)
{
	struct recovery *r = rd->r;

	for (size_t i = 0; i < r->nstates && !rd->failed; i++) {
		const struct state_at *at = &r->states[i];
		const struct seq_entry *e = seqmap_find(&r->map, at->seq);
		const struct slot *slot;

		if (e == NULL || !e->has_mail || e->finished ||
		    at->ordinal < e->whole)
			continue;
		slot = journal_slot(r->j, e->ref);
		if ((slot->flags & SLOT_ENDING) == 0)
			tell_state(rd, at);
	}
}

static int
tell(struct recovery *r)
{
	struct reader rd = { .r = r, .fd = -1 };

	tell_mails(&rd);
	tell_states(&rd);
	disk_close(rd.fd);
	free(rd.p);
	return rd.failed ? -1 : 0;
}

int
recover_log(struct journal *j, const struct recover_ask *a,
    struct recover_result *result)
{
	struct recovery r = { .j = j, .ask = a, .result = result };
	int rc;

	memset(result, 0, sizeof(*result));
	rc = inventory_read(&r.files, j, a->corrupt, a->why);
	if (rc == 0)
		rc = scan_all(&r);
	if (rc == 0) {
		apply_marks(&r);
		rc = read_all(&r);
	}
	if (rc == 0) {
		settle(&r);
		rc = tell(&r);
	}
	if (rc == 0)
		inventory_spares(&r.files, j);
	inventory_clear(&r.files);
	seqmap_clear(&r.map);
	free(r.states);
	return rc;
}
