/* What comes from a filter: which of it is legal, and where it leads. */
#include <stdlib.h>
#include <string.h>

#include "milters/client/packet.h"
#include "milters/client/talk_state.h"
#include "milters/client/verdict.h"

enum { REPLY_MAX = 65536 };

/* Where its reply leads when it is not to go on, and whether it has left the
 * message by itself. */
static const struct {
	enum talk_state to;
	bool leaves;
} outcomes[][REPLY_CLASSES] = {
	[SCOPE_SESSION] = {
		[REPLY_ACCEPT] = { TALK_DONE_SESSION, true },
		[REPLY_REFUSE] = { TALK_DONE_SESSION, true },
		[REPLY_SHUTDOWN] = { TALK_DONE_SESSION, true },
	},
	[SCOPE_MESSAGE] = {
		[REPLY_ACCEPT] = { TALK_DONE_MESSAGE, true },
		[REPLY_REFUSE] = { TALK_DONE_MESSAGE, true },
		[REPLY_DISCARD] = { TALK_DONE_MESSAGE, true },
		[REPLY_SHUTDOWN] = { TALK_DONE_SESSION, true },
	},
	[SCOPE_RCPT] = {
		[REPLY_ACCEPT] = { TALK_DONE_MESSAGE, true },
		[REPLY_REFUSE] = { TALK_RCPT, false },
		[REPLY_DISCARD] = { TALK_DONE_MESSAGE, false },
		[REPLY_SHUTDOWN] = { TALK_DONE_SESSION, true },
	},
	[SCOPE_COMMAND] = {
		[REPLY_ACCEPT] = { TALK_KEEP, false },
		[REPLY_REFUSE] = { TALK_KEEP, false },
		[REPLY_DISCARD] = { TALK_KEEP, false },
		[REPLY_SHUTDOWN] = { TALK_DONE_SESSION, true },
	},
};

/* Is it the answer to the question? (Else it is about a recipient that was
 * refused, or to the offer.) */
static bool
is_asked(const struct talk *t)
{
	return t->open && t->begun;
}

/* The expected event's name and what came, for the log. */
static void
fail_reply(struct talk *t, const struct packet *p, const char *why)
{
	unsigned char c = (unsigned char)p->code;

	talk_fail(t, false,
	    c > ' ' && c < 0x7f ? "%s: reply '%c' of %zu bytes to %s" :
				  "%s: reply %#x of %zu bytes to %s",
	    why, c, p->payload.len, event_row(t->waiting)->name);
}

/* Not its last word: it works on, or wants a change. */
static bool
is_interim(const struct talk *t, const struct packet *p)
{
	if (p->code == '\0' || t->waiting == EVENT_OFFER)
		return false;
	return p->code == 'p' || (t->waiting == EVENT_END &&
				     strchr("hib+2-meq", p->code) != NULL);
}

static void
take_interim(struct talk *t, const struct packet *p)
{
	const char *fault = NULL;

	talk_wait_on(t);
	if (p->code == 'p') {
		if (p->payload.len > 0)
			fail_reply(t, p, "not empty");
		return;
	}
	switch (edits_take(t->show.edits, p->code, p->payload, &fault)) {
	case EDITS_TAKEN:
		break;
	case EDITS_WAIT:
		/* Its clock does not run while ours is the delay. */
		stream_pause(t->stream);
		stream_deadline(t->stream, 0);
		break;
	case EDITS_BAD:
		fail_reply(t, p, fault);
		break;
	}
}

void
talk_body_ready(struct talk *t, bool ok)
{
	if (t->stream == NULL || !stream_is_paused(t->stream))
		return;
	edits_body_ready(t->show.edits, ok);
	stream_resume(t->stream);
	if (t->held)
		loop_after(t->loop, &t->unhold);
	else
		talk_wait_on(t);
}

static void
take_offer(struct talk *t, struct str payload)
{
	struct buf fault;

	buf_init(&fault, 200);
	if (negotiate_take(&t->agreed, payload, &fault) == 0)
		t->state = TALK_READY;
	else
		talk_fail(t, false, "%.*s", (int)fault.len, fault.p);
	buf_clear(&fault);
}

/* A reply code's text is checked; of a recipient that is refused anyway it is
 * not kept. -1: it is dead now. */
static int
take_text(struct talk *t, const struct packet *p)
{
	struct buf text;

	buf_init(&text, REPLY_MAX);
	int bad = verdict_parse(
	    p->payload, t->facts->smtputf8, &text, &t->answer.verdict);
	buf_add_char(&text, '\0');
	if (text.failed)
		bad = -1;
	if (bad != 0)
		fail_reply(t, p, "malformed text");
	if (bad != 0 || !is_asked(t)) {
		buf_clear(&text);
		return bad;
	}
	free(t->reply);
	t->reply = text.p;
	t->answer.reply = t->reply;
	return 0;
}

/* Its word on the event. -1: not legal, it is dead now. */
static int
take_word(struct talk *t, const struct packet *p, enum reply_class *cls)
{
	const struct reply_row *row = reply_row(p->code);
	const struct event_row *event = event_row(t->waiting);

	if (row == NULL || strchr(event->replies, p->code) == NULL ||
	    (p->code == 's' && (t->agreed.steps & STEP_SKIP) == 0)) {
		fail_reply(t, p, "not legal");
		return -1;
	}
	if (p->code != 'y' && p->payload.len > 0) {
		fail_reply(t, p, "not empty");
		return -1;
	}
	*cls = row->cls;
	t->answer = (struct talk_answer){ .verdict = row->verdict };
	if (p->code != 'y')
		return 0;
	if (take_text(t, p) != 0)
		return -1;
	if (t->answer.verdict == MILTER_SHUTDOWN)
		*cls = REPLY_SHUTDOWN;
	return 0;
}

/* The state that follows. */
static void
conclude(struct talk *t, enum event e, enum reply_class cls)
{
	enum event_scope scope = event_row(e)->scope;

	if (cls == REPLY_GO_ON) {
		talk_pass(t, e);
	} else {
		if (outcomes[scope][cls].to != TALK_KEEP)
			t->state = outcomes[scope][cls].to;
		t->in_message = t->in_message && !outcomes[scope][cls].leaves;
	}
	if (e == EVENT_END)
		t->in_message = false;
	if (scope == SCOPE_COMMAND && cls != REPLY_REFUSE &&
	    cls != REPLY_SHUTDOWN)
		t->answer.verdict = MILTER_CONTINUE;
}

/* About a recipient that is refused anyway; it may have had enough of the
 * message, though. */
static void
take_refused(struct talk *t, enum reply_class cls)
{
	if (cls == REPLY_ACCEPT && t->state == TALK_RCPT)
		conclude(t, EVENT_RCPT, cls);
	talk_send_refused(t);
}

/* The last word stands; the storage of its new body may need a while. */
static void
finish_edits(struct talk *t)
{
	if (edits_end(t->show.edits) != EDITS_WAIT)
		return;
	t->held = true;
	stream_pause(t->stream);
}

static void
take_reply(struct talk *t, const struct packet *p)
{
	enum event e = t->waiting;
	enum reply_class cls = REPLY_GO_ON;

	if (e == EVENT_OFFER && p->code == 'O') {
		take_offer(t, p->payload);
	} else if (e == EVENT_OFFER) {
		fail_reply(t, p, "not legal");
	} else if (take_word(t, p, &cls) != 0) {
		return;
	}
	if (t->stream == NULL)
		return;
	if (t->ahead > 0 && cls == REPLY_GO_ON) {
		t->ahead--;
		talk_pass(t, EVENT_HEADER);
		talk_wait_on(t);
		talk_show(t);
		return;
	}
	if (t->ahead > 0) {
		t->ahead = 0;
		t->stale = true;
		e = EVENT_HEADER;
	}
	t->waiting = EVENT_NONE;
	stream_deadline(t->stream, 0);
	if (e == EVENT_OFFER)
		return;
	if (!is_asked(t)) {
		take_refused(t, cls);
		return;
	}
	t->show.skip = p->code == 's';
	conclude(t, e, cls);
	if (e == EVENT_END && (cls == REPLY_GO_ON || cls == REPLY_ACCEPT))
		finish_edits(t);
	/* Nothing more of the content after any other word. */
	else if (e >= EVENT_HEADER && cls == REPLY_GO_ON)
		talk_show(t);
}

/* What follows a packet. Its last act. */
static void
proceed(struct talk *t)
{
	bool answered = false;

	if (t->stream == NULL) {
		talk_tell_death(t);
		return;
	}
	if (t->open && !t->begun)
		answered = talk_run(t);
	else if (t->open)
		answered = t->waiting == EVENT_NONE && !t->blocked && !t->held;
	if (answered)
		talk_answer_now(t);
}

size_t
talk_take(void *ctx, struct str in)
{
	struct talk *t = ctx;
	struct packet p;
	uint32_t length = 0;
	size_t used = 0;
	enum packet_state state = PACKET_MORE;

	if (t->waiting == EVENT_NONE)
		talk_fail(t, false, "it spoke when nothing was asked");
	while (t->stream != NULL && !stream_is_paused(t->stream) &&
	       (state = packet_decode(str_skip(in, used), &p, &length)) ==
		   PACKET_WHOLE) {
		used += packet_size(&p);
		if (is_interim(t, &p)) {
			take_interim(t, &p);
			continue;
		}
		bool more = t->ahead > 0;
		if (!more && used < in.len)
			fail_reply(t, &p, "more behind its last word");
		else
			take_reply(t, &p);
		if (more && t->stream != NULL && t->waiting != EVENT_NONE)
			continue;
		proceed(t);
		return in.len;
	}
	if (state == PACKET_BAD)
		talk_fail(t, false, "a packet of %u bytes as reply to %s",
		    (unsigned int)length, event_row(t->waiting)->name);
	if (t->stream != NULL)
		return used;
	talk_tell_death(t);
	return in.len;
}
