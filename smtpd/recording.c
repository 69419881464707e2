/*
 * A line is its time (milliseconds since the first), its length, its way, and
 * its text.
 */
#include "smtpd/recording.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/bytes.h"
#include "lib/base/clock.h"

enum {
	HEAD = 7,
	STEP = 256,
	BESIDE = 8 /* what malloc keeps beside a block */
};

struct recording {
	uint64_t wall_ms, mono_ms; /* of the first line */
	uint32_t lost;             /* lines that are gone */
	uint16_t len, cap;         /* of bytes */
	bool finished;
	uint8_t bytes[];
};

static size_t all;

static size_t
block_size(size_t cap)
{
	return sizeof(struct recording) + cap + BESIDE;
}

/* The room in a block that takes so many bytes in all. */
static size_t
cap_of(size_t block)
{
	return block - BESIDE - sizeof(struct recording);
}

static size_t
most(void)
{
	if (all + RECORDING_MAX > RECORDINGS_MAX)
		return 0;
	return cap_of(all < RECORDINGS_MANY ? RECORDING_MAX : RECORDING_SHORT);
}

static void
resize(struct recording **rp, size_t cap)
{
	struct recording *r = *rp;
	bool fresh = r == NULL;

	if (!fresh)
		all -= block_size(r->cap);
	r = *rp = xreallocarray(r, block_size(cap) - BESIDE, 1);
	if (fresh)
		*r = (struct recording){ .wall_ms = clock_wall_ms(),
			.mono_ms = clock_mono_ms() };
	r->cap = (uint16_t)cap;
	all += block_size(cap);
}

static size_t
line_size(const uint8_t *p)
{
	return HEAD + (size_t)get_le16(p + 4);
}

/* The oldest go until so many bytes are free: more at a time than one line
 * needs, for what stays has to move. */
static void
drop_oldest(struct recording *r, size_t need)
{
	size_t at = 0, enough = r->cap / 4;

	if (enough < need - (size_t)(r->cap - r->len))
		enough = need - (size_t)(r->cap - r->len);
	while (at < enough && at < r->len) {
		at += line_size(r->bytes + at);
		r->lost++;
	}
	memmove(r->bytes, r->bytes + at, r->len - at);
	r->len = (uint16_t)(r->len - at);
}

/* The recording, with room for so many bytes more; NULL: there is none to be
 * had. */
static struct recording *
make_room(struct recording **rp, size_t need)
{
	struct recording *r = *rp;
	size_t len = r != NULL ? r->len : 0, cap = r != NULL ? r->cap : 0;
	size_t max = most(), want;

	if (r != NULL && cap - len >= need)
		return r;
	want = (block_size(len + need) + STEP - 1) / STEP * STEP;
	want = cap_of(want);
	if (want > max)
		want = max;
	if (want > cap) {
		resize(rp, want);
		r = *rp;
	}
	if (r == NULL || need > r->cap)
		return NULL;
	if ((size_t)(r->cap - r->len) < need)
		drop_oldest(r, need);
	return r;
}

void
recording_add(struct recording **rp, enum line_way way, struct str text)
{
	struct recording *r;
	uint64_t ms;
	uint8_t *p;

	text = str_head(text, RECORDING_TEXT_MAX);
	r = make_room(rp, HEAD + text.len);
	if (r == NULL) {
		if (*rp != NULL)
			(*rp)->lost++;
		return;
	}
	ms = clock_mono_ms() - r->mono_ms;
	p = r->bytes + r->len;
	put_le32(p, ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX);
	put_le16(p + 4, (uint16_t)text.len);
	p[6] = (uint8_t)way;
	if (text.len > 0)
		memcpy(p + HEAD, text.p, text.len);
	r->len = (uint16_t)(r->len + HEAD + text.len);
}

static uint64_t
time_of(const struct recording *r, size_t at)
{
	return r->wall_ms + (at < r->len ? get_le32(r->bytes + at) : 0);
}

void
recording_each(const struct recording *r, recording_fn *fn, void *ctx)
{
	char note[64];

	if (r == NULL)
		return;
	if (r->lost > 0) {
		snprintf(note, sizeof(note), "%u lines are not kept any more",
		    r->lost);
		fn(ctx, LINE_NOTE, time_of(r, 0), str_of(note));
	}
	for (size_t at = 0; at < r->len; at += line_size(r->bytes + at)) {
		const uint8_t *p = r->bytes + at;

		fn(ctx, (enum line_way)p[6], time_of(r, at),
		    (struct str){ (const char *)p + HEAD, get_le16(p + 4) });
	}
}

void
recording_finish(struct recording **rp)
{
	if (*rp == NULL || (*rp)->finished)
		return;
	resize(rp, (*rp)->len);
	all -= recording_size(*rp);
	(*rp)->finished = true;
}

size_t
recording_size(const struct recording *r)
{
	return r != NULL ? block_size(r->cap) : 0;
}

void
recording_free(struct recording **rp)
{
	if (*rp != NULL && !(*rp)->finished)
		all -= recording_size(*rp);
	free(*rp);
	*rp = NULL;
}

size_t
recordings_size(void)
{
	return all;
}
