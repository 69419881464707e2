/*
 * What the ring has of a mail; of one that is older than that what its record
 * and its states say as long as it is here, and then how it ended.
 */
#include "queue/tracing.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/queue.h"

enum {
	PLACES_MAX = 65536, /* of one mail: the latest */
	TEXT_MAX = 1024     /* of row_event */
};

struct tracing {
	struct asking asking;     /* the first member */
	const struct trace *ring; /* where its events are */
	char msgid[ID_LEN + 1];
	uint64_t *places; /* owned */
	size_t nplaces, at;
	bool began;    /* what stands before the events was said */
	uint32_t rcpt; /* the next whose state is said; after the events */
	struct buf text;
};

static struct entry *
entry_of(const struct tracing *tr)
{
	struct entry *e = index_find_id(
	    &tr->asking.peer->q->index, (struct str){ tr->msgid, ID_LEN });

	return e != NULL && e->committed ? e : NULL;
}

static void
tell(const struct tracing *tr, const struct trace_row *row)
{
	struct row_event m = {
		.when_ms = row->when_ms,
		.event = row->event,
		.text = buf_str(row->text),
	};

	channel_tell(
	    tr->asking.peer->channel, TYPE_row_event, &m, tr->asking.id);
}

/* --- what is not in the ring any more --- */

static bool
has_accepted(struct tracing *tr)
{
	struct trace_row row = { .text = &tr->text };

	for (size_t i = 0; i < tr->nplaces; i++)
		if (trace_get(tr->ring, tr->places[i], &row) == 0 &&
		    row.kind == TRACE_ACCEPTED)
			return true;
	return false;
}

static void
tell_accepted(struct tracing *tr, const struct entry *e)
{
	struct trace_event ev = {
		.kind = TRACE_ACCEPTED,
		.when_ms = e->received_ms,
		.texts = { entry_from(e), entry_origin(e).client },
		.numbers = { e->nrcpt, entry_size(e) },
	};
	struct trace_row row = { .text = &tr->text };

	trace_format(&ev, &row);
	tell(tr, &row);
}

/* Its beginning is out of the ring, its end is not. */
static void
tell_accepted_once(struct tracing *tr)
{
	const struct trace *ends = tr->asking.peer->q->ends;
	struct trace_row row = { .text = &tr->text };
	uint64_t places[TRACE_END_PLACES];
	size_t n;

	n = trace_find(
	    ends, (struct str){ tr->msgid, ID_LEN }, places, TRACE_END_PLACES);
	if (n > 0 && trace_get(ends, places[0], &row) == 0 &&
	    row.kind == TRACE_ACCEPTED)
		tell(tr, &row);
}

static void
add_pair(struct buf *out, const char *key, struct str value)
{
	if (value.len == 0)
		return;
	buf_addf(out, "%s%s=", out->len > 0 ? " " : "", key);
	log_add_text(out, str_of(log_str(value)));
}

/* How it stands now. */
static void
tell_state(struct tracing *tr, const struct rcpt *r)
{
	struct trace_row row = {
		.when_ms = clock_wall_ms(),
		.event = STR("state"),
		.text = &tr->text,
	};

	buf_reset(&tr->text);
	add_pair(&tr->text, "to", rcpt_to(r));
	add_pair(&tr->text, "state", str_of(rcpt_state_name(r->state)));
	add_pair(&tr->text, "action", word_str(r->action));
	add_pair(&tr->text, "relay", word_str(r->relay));
	add_pair(&tr->text, "reply", word_str(r->reply));
	buf_addf(&tr->text, " attempts=%u", r->attempts);
	tell(tr, &row);
}

/* --- steps --- */

static bool
is_full(const struct tracing *tr)
{
	return channel_is_full(tr->asking.peer->channel);
}

static bool
step(struct asking *a)
{
	struct tracing *tr = (struct tracing *)a;
	struct trace_row row = { .text = &tr->text };
	const struct entry *e = entry_of(tr);

	if (!tr->began && !has_accepted(tr)) {
		if (e != NULL)
			tell_accepted(tr, e);
		else
			tell_accepted_once(tr);
	}
	tr->began = true;
	for (; tr->at < tr->nplaces && !is_full(tr); tr->at++)
		if (trace_get(tr->ring, tr->places[tr->at], &row) == 0)
			tell(tr, &row);
	if (tr->nplaces == 0 && e != NULL)
		for (; tr->rcpt < e->nrcpt && !is_full(tr); tr->rcpt++)
			tell_state(tr, &e->rcpts[tr->rcpt]);
	if (is_full(tr))
		return false;
	answer(a->peer, a->id, ANSWER_OK, "");
	return true;
}

static void
tracing_free(struct asking *a)
{
	struct tracing *tr = (struct tracing *)a;

	free(tr->places);
	buf_clear(&tr->text);
	free(tr);
}

static void
find(struct tracing *tr, const struct trace *ring)
{
	tr->ring = ring;
	tr->nplaces = trace_find(
	    ring, (struct str){ tr->msgid, ID_LEN }, tr->places, PLACES_MAX);
}

void
tracing_start(struct control_peer *p, uint64_t id, const struct ask_trace *ask)
{
	struct tracing *tr;

	filter_clear(&p->filter);
	if (!id_is_valid(ask->msgid)) {
		answer(p, id, ANSWER_REFUSED_IT, "not the id of a message");
		return;
	}
	tr = xcalloc(1, sizeof(*tr));
	memcpy(tr->msgid, ask->msgid.p, ID_LEN);
	buf_init(&tr->text, TEXT_MAX);
	tr->places = xreallocarray(NULL, PLACES_MAX, sizeof(*tr->places));
	tr->asking.peer = p;
	find(tr, p->q->trace);
	if (tr->nplaces == 0 && entry_of(tr) == NULL)
		find(tr, p->q->ends);
	if (tr->nplaces == 0 && entry_of(tr) == NULL) {
		tracing_free(&tr->asking);
		answer(p, id, ANSWER_NOT_FOUND,
		    "no such message, or it is over for too long");
		return;
	}
	tr->asking.step = step;
	tr->asking.free = tracing_free;
	asking_start(&tr->asking, p, id);
}
