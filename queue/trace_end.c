/* The last words about a mail, cut to what it may have. */
#include "queue/trace_end.h"

#include "queue/queue.h"

enum {
	EVENT_FIXED = 112, /* of an event beside its texts, at most */
	ADDRESS_CUT = 320,
	WORD_CUT = 64,
	RELAY_CUT = 128,
	REPLY_CUT = 300
};

_Static_assert(
    3 * EVENT_FIXED + 2 * ADDRESS_CUT + 3 * WORD_CUT + RELAY_CUT + REPLY_CUT <=
	TRACE_END_MAX,
    "sender and one recipient always fit");

/* Takes what it needs off *left; -1: it does not fit. */
static int
add(struct queue *q, const struct entry *e, const struct trace_event *ev,
    size_t *left)
{
	size_t size = EVENT_FIXED;

	for (size_t i = 0; i < TRACE_TEXTS; i++)
		size += ev->texts[i].len;
	if (size > *left)
		return -1;
	*left -= size;
	trace_add(q->ends, e->msgid, ev);
	return 0;
}

static int
add_rcpt(struct queue *q, struct entry *e, struct rcpt *r, size_t *left)
{
	return add(q, e,
	    &(struct trace_event){
		.kind = TRACE_ENDED,
		.texts = { str_head(rcpt_to(r), ADDRESS_CUT),
		    str_of(rcpt_state_name(r->state)),
		    str_head(word_str(r->action), WORD_CUT),
		    str_head(word_str(r->relay), RELAY_CUT),
		    str_head(word_str(r->reply), REPLY_CUT) },
		.numbers = { r->attempts },
	    },
	    left);
}

void
trace_end(struct queue *q, struct entry *e)
{
	struct entry *other =
	    index_find_id(&q->index, (struct str){ e->msgid, ID_LEN });
	size_t left = TRACE_END_MAX - EVENT_FIXED;
	uint32_t i;

	/* It goes on as another of the same id. */
	if (other != NULL && other != e && other->committed)
		return;
	add(q, e,
	    &(struct trace_event){
		.kind = TRACE_ACCEPTED,
		.when_ms = e->received_ms,
		.texts = { str_head(entry_from(e), ADDRESS_CUT),
		    str_head(entry_origin(e).client, WORD_CUT) },
		.numbers = { e->nrcpt, entry_size(e) },
	    },
	    &left);
	for (i = 0; i < e->nrcpt; i++)
		if (add_rcpt(q, e, &e->rcpts[i], &left) == -1)
			break;
	if (i < e->nrcpt)
		trace_add(q->ends, e->msgid,
		    &(struct trace_event){
			.kind = TRACE_MORE, .numbers = { e->nrcpt - i } });
}
