/* The segments of the log; see journal.h. */
#include "queue/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fault.h"
#include "lib/base/log.h"
#include "queue/disk.h"

enum { FILL_CHUNK = 262144 };

void
journal_init(struct journal *j, int dir, uint64_t segment_size)
{
	memset(j, 0, sizeof(*j));
	j->dir = dir;
	j->segment_size = round_up(segment_size, SEGMENT_BLOCK);
	j->active = NO_SEGMENT;
	j->next_number = 1;
	j->next_batch = 1;
}

void
journal_clear(struct journal *j)
{
	for (uint32_t i = 0; i < j->nsegments; i++) {
		disk_close(j->segments[i].fd);
		free(j->segments[i].slots);
	}
	free(j->segments);
	journal_init(j, -1, 0);
}

uint32_t
journal_add(struct journal *j)
{
	uint32_t i = 0;

	while (i < j->nsegments && j->segments[i].state != SEGMENT_NONE)
		i++;
	if (i == j->nsegments) {
		if (j->nsegments == j->capsegments) {
			j->capsegments = j->capsegments * 2 + 16;
			j->segments = xreallocarray(
			    j->segments, j->capsegments, sizeof(*j->segments));
		}
		j->nsegments++;
	}
	j->segments[i] = (struct segment){ .state = SEGMENT_LEAVING, .fd = -1 };
	return i;
}

void
journal_del(struct journal *j, uint32_t index)
{
	struct segment *s = &j->segments[index];

	disk_close(s->fd);
	free(s->slots);
	*s = (struct segment){ .state = SEGMENT_NONE, .fd = -1 };
}

void
journal_add_spare(struct journal *j, uint32_t index, int fd, uint64_t size)
{
	struct segment *s = &j->segments[index];
	uint32_t number = s->number;

	free(s->slots);
	*s = (struct segment){
		.state = SEGMENT_SPARE, .fd = fd, .number = number, .size = size
	};
	j->nspares++;
}

/* Higher than all before; its lower half nobody can guess. */
static uint64_t
new_generation(uint64_t last)
{
	uint32_t low;

	while (getrandom(&low, sizeof(low), 0) != sizeof(low))
		;
	return ((last >> 32) + 1) << 32 | low;
}

static uint32_t
find_spare(const struct journal *j)
{
	for (uint32_t i = 0; i < j->nsegments; i++) {
		if (j->segments[i].state == SEGMENT_SPARE)
			return i;
	}
	return NO_SEGMENT;
}

/* None was ready in time: this once, the loop waits. */
static uint32_t
make_spare(struct journal *j)
{
	uint32_t number = j->next_number++, index;
	int fd = journal_fill(j->dir, number, j->segment_size, j->last_seq);

	if (fd == -1)
		return NO_SEGMENT;
	index = journal_add(j);
	j->segments[index].number = number;
	journal_add_spare(j, index, fd, j->segment_size);
	return index;
}

static uint32_t
count_cuts(const struct journal *j)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < j->nsegments; i++)
		n += j->segments[i].cut;
	return n;
}

uint32_t
journal_open(struct journal *j, bool for_states)
{
	uint32_t index;
	struct segment *s;

	errno = ENOSPC;
	if (count_cuts(j) >= SEGMENT_CUTS_MAX)
		return NO_SEGMENT;
	if (j->short_of_space && !for_states && j->nspares <= 1)
		return NO_SEGMENT;
	index = find_spare(j);
	if (index == NO_SEGMENT)
		index = make_spare(j);
	if (index == NO_SEGMENT)
		return NO_SEGMENT;
	s = &j->segments[index];
	s->state = SEGMENT_ACTIVE;
	s->generation = j->last_generation = new_generation(j->last_generation);
	s->end = 0;
	j->nspares--;
	j->opened++;
	if (j->active != NO_SEGMENT)
		j->segments[j->active].state = SEGMENT_FULL;
	j->active = index;
	for (uint32_t i = 0; i < j->nsegments; i++)
		j->segments[i].stuck = false;
	return index;
}

void
journal_unopen(struct journal *j, uint32_t index)
{
	struct segment *s = &j->segments[index];
	int fd = s->fd;

	s->fd = -1;
	journal_add_spare(j, index, fd, s->size);
	if (j->active == index)
		j->active = NO_SEGMENT;
}

void
journal_encode_header(const struct journal *j, uint32_t index,
    uint64_t prev_generation, uint64_t prev_end, uint8_t *out)
{
	const struct segment *s = &j->segments[index];
	struct segment_header h = { .number = s->number,
		.size = s->size,
		.generation = s->generation,
		.opened_ms = clock_wall_ms(),
		.prev_generation = prev_generation,
		.prev_end = prev_end,
		.next_batch = j->next_batch,
		.last_seq = j->last_seq };

	for (uint32_t i = 0; i < j->nsegments; i++) {
		const struct segment *c = &j->segments[i];

		if (!c->cut)
			continue;
		assert(h.ncuts < SEGMENT_CUTS_MAX);
		h.cuts[h.ncuts++] =
		    (struct segment_cut){ c->generation, c->end };
	}
	segment_header_encode(out, &h);
	memcpy(out + SEGMENT_BLOCK, out, SEGMENT_BLOCK);
}

void
journal_encode_mark(
    struct journal *j, uint32_t index, uint64_t offset, uint8_t *out)
{
	struct batch_header b = { .used = BATCH_HEADER,
		.generation = j->segments[index].generation,
		.sequence = j->next_batch++,
		.offset = offset,
		.mark_generation = j->mark_generation,
		.mark_offset = j->mark_offset,
		.flags = BATCH_MARK };

	memset(out, 0, SEGMENT_BLOCK);
	batch_header_encode(out, &b);
}

void
journal_abandon(struct journal *j, uint32_t index)
{
	struct segment *s = &j->segments[index];

	disk_close(s->fd);
	s->fd = -1;
	s->state = SEGMENT_ABANDONED;
	s->cut = true;
	if (j->active == index)
		j->active = NO_SEGMENT;
}

int
journal_probe(struct journal *j)
{
	uint32_t index = journal_open(j, true);
	struct segment *s;
	uint8_t *block;
	int error = 0;

	if (index == NO_SEGMENT)
		return -1;
	s = &j->segments[index];
	block = xmalloc(SEGMENT_DATA + SEGMENT_BLOCK);
	journal_encode_header(
	    j, index, j->mark_generation, j->mark_offset, block);
	journal_encode_mark(j, index, SEGMENT_DATA, block + SEGMENT_DATA);
	if (disk_write(s->fd, block, SEGMENT_DATA + SEGMENT_BLOCK, 0) == -1 ||
	    disk_fdatasync(s->fd) == -1)
		error = errno;
	free(block);
	if (error != 0) {
		journal_abandon(j, index);
		errno = error;
		return -1;
	}
	s->end = SEGMENT_DATA + SEGMENT_BLOCK;
	j->mark_generation = s->generation;
	j->mark_offset = s->end;
	return 0;
}

uint32_t
journal_add_slot(struct journal *j, uint32_t segment, const struct slot *slot)
{
	struct segment *s = &j->segments[segment];

	if (s->nslots == s->capslots) {
		s->capslots = s->capslots * 2 + 64;
		s->slots =
		    xreallocarray(s->slots, s->capslots, sizeof(*s->slots));
	}
	s->slots[s->nslots] = *slot;
	if ((slot->flags & (SLOT_DEAD | SLOT_OLD_COPY)) == 0)
		s->live++;
	return s->nslots++;
}

struct slot *
journal_slot(const struct journal *j, struct store_ref ref)
{
	if (ref.segment >= j->nsegments ||
	    ref.slot >= j->segments[ref.segment].nslots)
		return NULL;
	return &j->segments[ref.segment].slots[ref.slot];
}

bool
journal_can_hold(const struct journal *j, uint64_t payload)
{
	return SEGMENT_DATA + BATCH_HEADER + RECORD_HEADER +
		   round_up(payload, RECORD_ALIGN) <=
	       j->segment_size;
}

void
journal_name(uint32_t number, char out[static JOURNAL_NAME])
{
	snprintf(out, JOURNAL_NAME, "%08" PRIx32, number);
}

static int
write_spare_header(int fd, uint32_t number, uint64_t size, uint64_t last_seq)
{
	struct segment_header h = {
		.number = number, .size = size, .last_seq = last_seq
	};
	uint8_t *block = xmalloc(SEGMENT_DATA);
	int rc;

	segment_header_encode(block, &h);
	memcpy(block + SEGMENT_BLOCK, block, SEGMENT_BLOCK);
	rc = disk_write(fd, block, SEGMENT_DATA, 0);
	free(block);
	return rc;
}

static int
write_zeros(int fd, uint64_t size)
{
	uint8_t *zeros = xcalloc(1, FILL_CHUNK);
	uint64_t at = 0;
	int rc = 0;

	while (at < size && rc == 0) {
		size_t n =
		    size - at < FILL_CHUNK ? (size_t)(size - at) : FILL_CHUNK;

		rc = disk_write(fd, zeros, n, at);
		at += n;
	}
	free(zeros);
	return rc;
}

int
journal_fill(int dir, uint32_t number, uint64_t size, uint64_t last_seq)
{
	char name[JOURNAL_NAME];
	int fd, error;

	journal_name(number, name);
	fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	/* Room is claimed first: a full disk is seen before minutes of
	 * writing. Not every file system can. */
	error = fallocate(fd, 0, 0, (off_t)size) == -1 ? errno : 0;
	if (error == 0 || error == EOPNOTSUPP || error == EINTR)
		error = write_zeros(fd, size) == -1 ||
				write_spare_header(
				    fd, number, size, last_seq) == -1 ||
				disk_fsync(fd) == -1 || disk_fsync(dir) == -1 ?
			    errno :
			    0;
	if (error == 0)
		return fd;
	disk_close(fd);
	if (unlinkat(dir, name, 0) == -1)
		log_warn(NULL, "spool", "segment=%s unlink=%s", name,
		    log_cstr(strerror(errno)));
	errno = error;
	return -1;
}

int
journal_reset(int dir, uint32_t number, uint64_t size, uint64_t last_seq)
{
	char name[JOURNAL_NAME];
	int fd, error;

	journal_name(number, name);
	fd = openat(dir, name, O_RDWR | O_CLOEXEC);
	if (fd == -1)
		return -1;
	if (write_spare_header(fd, number, size, last_seq) == 0 &&
	    disk_fdatasync(fd) == 0)
		return fd;
	error = errno;
	disk_close(fd);
	errno = error;
	return -1;
}

int
journal_remove(int dir, uint32_t number)
{
	char name[JOURNAL_NAME];

	journal_name(number, name);
	if (unlinkat(dir, name, 0) == -1 && errno != ENOENT)
		return -1;
	return disk_fsync(dir);
}

int
/* NOLINTNEXTLINE(readability-function-size): where, what, and both results */
journal_read_record(int fd, uint64_t generation, uint64_t offset,
    uint32_t length, uint8_t *out, struct record_header *h, struct fault *why)
{
	int64_t n = disk_read(fd, out, length, offset);

	if (n == -1)
		return fault_errno(why, FAULT_OURS, "offset %" PRIu64, offset);
	if (n != (int64_t)length || length < RECORD_HEADER ||
	    record_header_decode(out, generation, h) == -1 ||
	    h->length != length - RECORD_HEADER)
		return fault_set(why, FAULT_PERM,
		    "offset %" PRIu64 ": the record's header is damaged",
		    offset);
	if (!record_payload_is_good(h, out + RECORD_HEADER))
		return fault_set(why, FAULT_PERM,
		    "offset %" PRIu64 ": the record's checksum is wrong",
		    offset);
	return 0;
}
