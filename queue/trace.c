/*
 * Events one behind the other, none of them wrapped. Places count up for
 * ever: one is good as long as it is not further behind the head than the ring
 * is long. Those whose msgids share a bucket are chained backwards.
 */
#include "queue/trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	BUCKETS = 32768,
	TEXT_MAX = 1100, /* of one text of an event */
	ALIGN = 8
};

/* In front of its texts. */
struct header {
	uint64_t before; /* place of one before in the bucket, and 1 */
	uint64_t when_ms;
	uint64_t numbers[TRACE_NUMBERS];
	char msgid[ID_LEN];
	uint16_t lens[TRACE_TEXTS];
	uint8_t kind;
};

struct trace {
	char *ring; /* owned */
	uint64_t size;
	uint64_t head;    /* where the next one goes */
	uint64_t *latest; /* owned: of each bucket, and 1; 0: none */
};

struct trace *
trace_new(size_t bytes)
{
	struct trace *t = xcalloc(1, sizeof(*t));

	t->size = bytes - bytes % ALIGN;
	t->ring = xmalloc(t->size);
	t->latest = xcalloc(BUCKETS, sizeof(*t->latest));
	return t;
}

void
trace_free(struct trace **tp)
{
	struct trace *t = *tp;

	if (t == NULL)
		return;
	free(t->ring);
	free(t->latest);
	free(t);
	*tp = NULL;
}

/* --- adding --- */

static uint64_t *
bucket_of(const struct trace *t, const char *msgid)
{
	uint64_t a, b;

	memcpy(&a, msgid, sizeof(a));
	memcpy(&b, msgid + sizeof(a), sizeof(b));
	a = (a ^ b * 0x9e3779b97f4a7c15U) * 0xff51afd7ed558ccdU;
	return &t->latest[(a ^ a >> 32) % BUCKETS];
}

void
trace_add(struct trace *t, const char *msgid, const struct trace_event *ev)
{
	uint64_t *bucket = bucket_of(t, msgid), size = sizeof(struct header);
	struct header h = {
		.before = *bucket,
		.when_ms = ev->when_ms != 0 ? ev->when_ms : clock_wall_ms(),
		.kind = (uint8_t)ev->kind,
	};
	char *p;

	memcpy(h.numbers, ev->numbers, sizeof(h.numbers));
	memcpy(h.msgid, msgid, sizeof(h.msgid));
	for (size_t i = 0; i < TRACE_TEXTS; i++) {
		size_t len = ev->texts[i].len;

		h.lens[i] = (uint16_t)(len < TEXT_MAX ? len : TEXT_MAX);
		size += h.lens[i];
	}
	size = (size + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
	if (size > t->size)
		return;
	if (t->head % t->size + size > t->size)
		t->head += t->size - t->head % t->size;
	p = t->ring + t->head % t->size;
	memcpy(p, &h, sizeof(h));
	p += sizeof(h);
	for (size_t i = 0; i < TRACE_TEXTS; i++) {
		if (h.lens[i] > 0)
			memcpy(p, ev->texts[i].p, h.lens[i]);
		p += h.lens[i];
	}
	*bucket = t->head + 1;
	t->head += size;
}

/* --- finding --- */

static bool
is_there(const struct trace *t, uint64_t place)
{
	return place < t->head && t->head - place <= t->size;
}

static const char *
read_header(const struct trace *t, uint64_t place, struct header *h)
{
	const char *p = t->ring + place % t->size;

	memcpy(h, p, sizeof(*h));
	return p + sizeof(*h);
}

size_t
trace_find(
    const struct trace *t, struct str msgid, uint64_t *places, size_t max)
{
	struct header h;
	size_t n = 0;

	if (msgid.len != ID_LEN)
		return 0;
	for (uint64_t at = *bucket_of(t, msgid.p);
	     at != 0 && is_there(t, at - 1) && n < max; at = h.before) {
		read_header(t, at - 1, &h);
		if (memcmp(h.msgid, msgid.p, ID_LEN) == 0)
			places[n++] = at - 1;
	}
	for (size_t i = 0; i < n / 2; i++) {
		uint64_t other = places[i];

		places[i] = places[n - 1 - i];
		places[n - 1 - i] = other;
	}
	return n;
}

/* --- as text --- */

/* clang-format off */
static const struct {
	const char *name;
	const char *texts[TRACE_TEXTS];
	const char *numbers[TRACE_NUMBERS];
} kinds[TRACE_KINDS] = {
	[TRACE_PAD]         = { "",            { NULL },                                   { NULL } },
	[TRACE_TOLD]        = { NULL,          { NULL },                                   { NULL } },
	[TRACE_ACCEPTED]    = { "accepted",    { "from", "client" },                       { "nrcpt", "size" } },
	[TRACE_REPORT]      = { "report",      { "kind", "to", "report" },                 { NULL } },
	[TRACE_DELIVERED]   = { "delivered",   { "to", "action", "relay", "reply", "tls" }, { "attempts" } },
	[TRACE_DEFERRED]    = { "deferred",    { "to", "action", "relay", "reply", "tls" }, { "attempts" } },
	[TRACE_BOUNCED]     = { "bounced",     { "to", "action", "relay", "reply", "tls" }, { "attempts" } },
	[TRACE_EXPIRED]     = { "expired",     { "to", "action", "relay", "reply" },       { "attempts" } },
	[TRACE_HELD]        = { "held",        { "to", "reason" },                         { NULL } },
	[TRACE_REMOVED]     = { "removed",     { "to" },                                   { NULL } },
	[TRACE_RELEASED]    = { "released",    { "to" },                                   { NULL } },
	[TRACE_REQUEUED]    = { "requeued",    { "to", "action" },                         { NULL } },
	[TRACE_QUARANTINED] = { "quarantined", { "to", "filter", "reason" },               { NULL } },
	[TRACE_DISCARDED]   = { "discarded",   { "to", "filter" },                         { NULL } },
	[TRACE_FILTERING]   = { "filtering",   { "why" },                                  { "nrcpt" } },
	[TRACE_FILTERED]    = { "filtered",    { "verdict", "filter", "reply", "changed" }, { NULL } },
	[TRACE_REPLACED]    = { "replaced",    { "id" },                                   { NULL } },
	[TRACE_RESTORED]    = { "restored",    { "to" },                                   { "removed-by" } },
	[TRACE_ENDED]       = { "ended",       { "to", "state", "action", "relay", "reply" }, { "attempts" } },
	[TRACE_MORE]        = { "more",        { NULL },                                   { "recipients" } },
};

/* clang-format on */

/* An empty sender is one; other texts that are empty say nothing. */
static void
add_text(struct buf *out, const char *key, struct str text)
{
	if (text.len == 0 && strcmp(key, "from") == 0)
		text = STR("<>");
	if (text.len == 0)
		return;
	buf_addf(out, "%s%s=", out->len > 0 ? " " : "", key);
	log_add_text(out, str_of(log_str(text)));
}

void
trace_format(const struct trace_event *ev, struct trace_row *row)
{
	buf_reset(row->text);
	row->kind = ev->kind;
	row->when_ms = ev->when_ms;
	if (ev->kind == TRACE_TOLD) {
		row->event = ev->texts[0];
		buf_add_str(row->text, ev->texts[1]);
		return;
	}
	row->event = str_of(kinds[ev->kind].name);
	for (size_t i = 0; i < TRACE_TEXTS; i++)
		if (kinds[ev->kind].texts[i] != NULL)
			add_text(
			    row->text, kinds[ev->kind].texts[i], ev->texts[i]);
	for (size_t i = 0; i < TRACE_NUMBERS; i++)
		if (kinds[ev->kind].numbers[i] != NULL)
			buf_addf(row->text, "%s%s=%" PRIu64,
			    row->text->len > 0 ? " " : "",
			    kinds[ev->kind].numbers[i], ev->numbers[i]);
}

int
trace_get(const struct trace *t, uint64_t place, struct trace_row *row)
{
	struct trace_event ev = { 0 };
	struct header h;
	const char *p;

	if (!is_there(t, place))
		return -1;
	p = read_header(t, place, &h);
	ev.kind = h.kind;
	ev.when_ms = h.when_ms;
	memcpy(ev.numbers, h.numbers, sizeof(ev.numbers));
	for (size_t i = 0; i < TRACE_TEXTS; i++) {
		ev.texts[i] = (struct str){ p, h.lens[i] };
		p += h.lens[i];
	}
	trace_format(&ev, row);
	return 0;
}
