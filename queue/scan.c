/* One segment read from its disk image; see scan.h. */
#include "queue/scan.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "queue/disk.h"

enum {
	WINDOW = 262144,
	UNREADABLE = 0xee /* stands for bytes the disk does not give */
};

void
scan_init(struct scan *s, int fd, uint64_t size, uint64_t generation)
{
	memset(s, 0, sizeof(*s));
	s->fd = fd;
	s->size = size - size % SEGMENT_BLOCK;
	s->generation = generation;
	s->stop = UINT64_MAX;
	s->end = SEGMENT_DATA;
}

void
scan_forget_window(struct scan *s)
{
	free(s->window);
	s->window = NULL;
	s->window_at = 0;
	s->window_len = s->window_cap = 0;
}

void
scan_clear(struct scan *s)
{
	scan_forget_window(s);
	free(s->batches);
	memset(s, 0, sizeof(*s));
}

/* A bad sector costs its own block, not its neighbours. */
static void
read_blocks(struct scan *s, uint8_t *p, size_t len, uint64_t offset)
{
	int64_t got;

	for (size_t at = 0; at < len; at += SEGMENT_BLOCK) {
		size_t n = len - at < SEGMENT_BLOCK ? len - at : SEGMENT_BLOCK;

		got = disk_read(s->fd, p + at, n, offset + at);
		if (got < 0) {
			s->unreadable = true;
			got = 0;
		}
		memset(p + at + got, UNREADABLE, n - (size_t)got);
	}
}

/* len bytes from offset on, all below the segment's size. */
static const uint8_t *
window(struct scan *s, uint64_t offset, size_t len)
{
	size_t want = len > WINDOW ? len : WINDOW;

	if (offset >= s->window_at &&
	    offset - s->window_at + len <= s->window_len)
		return s->window + (offset - s->window_at);
	if (want > s->size - offset)
		want = (size_t)(s->size - offset);
	if (want > s->window_cap) {
		s->window = xreallocarray(s->window, want, 1);
		s->window_cap = want;
	}
	if (disk_read(s->fd, s->window, want, offset) != (int64_t)want)
		read_blocks(s, s->window, want, offset);
	s->window_at = offset;
	s->window_len = want;
	return s->window;
}

static void
add_batch(struct scan *s, const struct batch_header *h)
{
	if (s->nbatches == s->capbatches) {
		s->capbatches = s->capbatches * 2 + 64;
		s->batches = xreallocarray(
		    s->batches, s->capbatches, sizeof(*s->batches));
	}
	s->batches[s->nbatches++] = (struct scan_batch){ h->offset, h->used,
		h->mark_generation, h->mark_offset };
	s->last_batch = h->sequence;
}

void
scan_batches(struct scan *s)
{
	uint64_t at = SEGMENT_DATA;
	struct batch_header h;

	while (at + SEGMENT_BLOCK <= s->size) {
		if (batch_header_decode(
			window(s, at, BATCH_HEADER), s->generation, &h) == -1 ||
		    h.offset != at || h.used > s->size - at ||
		    h.sequence <= s->last_batch) {
			at += SEGMENT_BLOCK;
			continue;
		}
		add_batch(s, &h);
		at = round_up(at + h.used, SEGMENT_BLOCK);
	}
}

static bool
is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != 0)
			return false;
	}
	return true;
}

/* A run of records, whole in memory. */
struct region {
	struct scan *scan;
	const struct scan_ops *ops;
	void *ctx;
	const uint8_t *p;
	uint64_t offset; /* of p[0] in the segment */
	size_t len;
};

static int
region_header(const struct region *g, size_t at, struct record_header *h)
{
	if (g->len - at < RECORD_HEADER ||
	    record_header_decode(g->p + at, g->scan->generation, h) == -1 ||
	    h->length > g->len - at - RECORD_HEADER)
		return -1;
	return 0;
}

static size_t
region_search(const struct region *g, size_t at)
{
	struct record_header h;

	while (at < g->len && region_header(g, at, &h) == -1)
		at += RECORD_ALIGN;
	return at < g->len ? at : g->len;
}

static void
region_damage(const struct region *g, size_t from, size_t to, uint64_t seq)
{
	if (seq == 0 && is_zero(g->p + from, to - from))
		return;
	g->ops->on_damage(
	    g->ctx, g->offset + from, g->p + from, to - from, seq);
}

/* Every record of the region; false: cut, because what is bad was not yet
 * durable. */
static bool
region_records(const struct region *g)
{
	struct scan_record r;
	size_t at = 0, next;

	while (at < g->len) {
		bool durable = g->offset + at < g->scan->limit;
		bool header = region_header(g, at, &r.header) == 0;

		if (header && record_payload_is_good(
				  &r.header, g->p + at + RECORD_HEADER)) {
			r.offset = g->offset + at;
			r.length = RECORD_HEADER + r.header.length;
			r.payload = g->p + at + RECORD_HEADER;
			g->ops->on_record(g->ctx, &r);
			at += (size_t)round_up(r.length, RECORD_ALIGN);
			continue;
		}
		if (!durable) {
			g->scan->end = g->offset + at;
			g->scan->torn = true;
			return false;
		}
		next = header ? at + (size_t)round_up(
					 RECORD_HEADER + r.header.length,
					 RECORD_ALIGN) :
				region_search(g, at + RECORD_ALIGN);
		if (next > g->len)
			next = g->len;
		region_damage(g, at, next, header ? r.header.seq : 0);
		at = next;
	}
	return true;
}

static bool
scan_region(struct scan *s, uint64_t from, uint64_t to,
    const struct scan_ops *ops, void *ctx)
{
	struct region g = { s, ops, ctx, NULL, from, (size_t)(to - from) };

	if (to <= from)
		return true;
	g.p = window(s, from, g.len);
	return region_records(&g);
}

/* Between two batches, or behind the last, where one was that cannot be
 * read. Its records may be whole. */
static bool
scan_gap(struct scan *s, uint64_t from, uint64_t to, const struct scan_ops *ops,
    void *ctx)
{
	if (from >= s->limit) {
		s->end = from;
		s->torn = true;
		return false;
	}
	if (to > s->limit)
		to = s->limit;
	if (to > s->size)
		to = s->size;
	if (to <= from + BATCH_HEADER)
		return true;
	return scan_region(s, from + BATCH_HEADER, to, ops, ctx);
}

void
scan_records(struct scan *s, const struct scan_ops *ops, void *ctx)
{
	uint64_t at = SEGMENT_DATA;

	if (s->limit > s->stop)
		s->limit = s->stop;
	for (size_t i = 0; i < s->nbatches; i++) {
		const struct scan_batch *b = &s->batches[i];
		uint64_t end = b->offset + b->used;

		if (b->offset >= s->stop)
			break;
		if (b->offset > at && !scan_gap(s, at, b->offset, ops, ctx))
			return;
		if (end > s->stop)
			end = s->stop;
		if (!scan_region(s, b->offset + BATCH_HEADER, end, ops, ctx))
			return;
		at = round_up(b->offset + b->used, SEGMENT_BLOCK);
	}
	if (at < s->limit && !scan_gap(s, at, s->limit, ops, ctx))
		return;
	s->end = at > s->limit ? at : s->limit;
}
