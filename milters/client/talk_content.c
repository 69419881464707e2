/* A mail's content goes to a filter: field by field, chunk by chunk, at the
 * speed of its replies, or of its reading when it gives none. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "milters/client/packet.h"
#include "milters/client/talk_state.h"

enum {
	/* Bytes on their way to a filter that gives no replies. */
	TALK_WINDOW = 256 * 1024,
	/* Fields on their way without their replies. */
	TALK_AHEAD = 200,
	/* Of a field: more than any packet takes. */
	FIELD_MAX = PACKET_SEND_MAX + 1024
};

static void
show_field(struct talk *t, const struct header_node *n)
{
	struct buf payload;

	buf_init(&payload, FIELD_MAX);
	packet_add_string(&payload, n->name);
	header_value_for_filter(
	    n, (t->agreed.steps & STEP_LEAD_SPACE) != 0, &payload);
	buf_add_char(&payload, '\0');
	if (payload.failed)
		talk_fail(t, false,
		    "a header field of %zu bytes is too long "
		    "for a filter",
		    n->raw.len);
	else
		talk_send(t, EVENT_HEADER, buf_str(&payload));
	buf_clear(&payload);
}

static void
show_headers(struct talk *t)
{
	struct talk_showing *s = &t->show;

	if ((t->agreed.steps & STEP_NO_HEADER) == 0)
		s->at = headers_next(s->headers, s->at);
	if (s->at != NULL)
		show_field(t, s->at);
	else
		talk_send(t, EVENT_EOH, (struct str){ NULL, 0 });
}

/* The next piece of the body, in memory that every conversation shares. */
static int
read_body(struct talk *t, size_t want, struct str *piece)
{
	static char room[PACKET_SEND_MAX];
	const struct talk_showing *s = &t->show;
	ssize_t n;

	if (s->mail->fd == -1) {
		*piece =
		    str_head(str_skip(s->mail->body, (size_t)s->done), want);
		return piece->len == 0 ? -1 : 0;
	}
	do {
		n = pread(s->mail->fd, room, want, (off_t)s->done);
	} while (n == -1 && errno == EINTR);
	if (n <= 0)
		return -1;
	*piece = (struct str){ room, (size_t)n };
	return 0;
}

static void
show_body(struct talk *t)
{
	struct talk_showing *s = &t->show;
	uint64_t size =
	    s->mail->fd == -1 ? s->mail->body.len : s->mail->body_size;
	uint64_t left = size - s->done;
	struct str piece;

	if (left == 0 || s->skip || (t->agreed.steps & STEP_NO_BODY) != 0) {
		/* A reply too many would be taken for that to the end. */
		if (talk_is_silent(t))
			talk_send(t, EVENT_END, (struct str){ NULL, 0 });
		return;
	}
	size_t want = left < PACKET_SEND_MAX ? (size_t)left : PACKET_SEND_MAX;
	if (read_body(t, want, &piece) != 0) {
		talk_fail(t, false,
		    "our copy of the body ends at %llu of "
		    "%llu bytes",
		    (unsigned long long)s->done, (unsigned long long)size);
		return;
	}
	s->done += piece.len;
	talk_send(t, EVENT_BODY, piece);
}

static void
on_more(void *arg)
{
	struct talk *t = arg;

	/* Else on_drained comes. */
	if (t->blocked && stream_unsent(t->stream) == 0)
		talk_unblock(t);
}

/* Nobody replies, so the loop's other work has to have its turn. */
static void
block(struct talk *t)
{
	if (t->more == NULL)
		t->more = timer_new(t->loop, on_more, t);
	timer_set(t->more, 0);
	t->blocked = true;
	talk_wait_on(t);
}

/* A reply to each field, one after the other, would be most of a filter's
 * time: what follows is sent before. Not so the end of the header when it is
 * not replied to: its state would be ahead of the replies. */
static bool
goes_ahead(const struct talk *t)
{
	const struct talk_showing *s = &t->show;

	return t->waiting == EVENT_HEADER && !t->milter->lock_step &&
	       t->ahead < TALK_AHEAD &&
	       stream_unsent(t->stream) <= TALK_WINDOW &&
	       (headers_next(s->headers, s->at) != NULL ||
		   (t->agreed.steps & (STEP_NO_EOH | STEP_QUIET_EOH)) == 0);
}

void
talk_show(struct talk *t)
{
	while (t->stream != NULL && !t->blocked &&
	       (t->waiting == EVENT_NONE || goes_ahead(t))) {
		if (t->state < TALK_EOH)
			show_headers(t);
		else
			show_body(t);
		if (t->stream != NULL && t->waiting == EVENT_NONE &&
		    stream_unsent(t->stream) > TALK_WINDOW)
			block(t);
	}
}
