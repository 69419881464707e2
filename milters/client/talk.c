#include "milters/client/talk.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/alloc.h"
#include "milters/client/packet.h"
#include "milters/client/talk_state.h"

enum {
	REFUSED_MAX = 262144, /* of a client that names one after another */
	EVENT_BYTES_MAX = MACRO_PACKET_MAX + PACKET_SEND_MAX + 4096
};

#define IN(state) (1U << (state))

/* From which states an event may be sent, so that libmilter does not drop it
 * without a word, and where it leads. */
static const struct {
	unsigned int from;
	enum talk_state to;
} moves[EVENTS] = {
	[EVENT_OFFER] = { IN(TALK_OFFERED), TALK_READY },
	[EVENT_CONNECT] = { IN(TALK_READY), TALK_SESSION },
	[EVENT_HELO] = { IN(TALK_SESSION) | IN(TALK_DONE_MESSAGE),
	    TALK_SESSION },
	[EVENT_MAIL] = { IN(TALK_SESSION) | IN(TALK_DONE_MESSAGE), TALK_MAIL },
	[EVENT_RCPT] = { IN(TALK_MAIL) | IN(TALK_RCPT), TALK_RCPT },
	[EVENT_DATA] = { IN(TALK_RCPT), TALK_DATA },
	[EVENT_UNKNOWN] = { IN(TALK_SESSION) | IN(TALK_DONE_MESSAGE),
	    TALK_KEEP },
	[EVENT_HEADER] = { IN(TALK_RCPT) | IN(TALK_DATA) | IN(TALK_HEADER),
	    TALK_HEADER },
	[EVENT_EOH] = { IN(TALK_RCPT) | IN(TALK_DATA) | IN(TALK_HEADER),
	    TALK_EOH },
	[EVENT_BODY] = { IN(TALK_EOH) | IN(TALK_BODY), TALK_BODY },
	[EVENT_END] = { IN(TALK_EOH) | IN(TALK_BODY), TALK_DONE_MESSAGE },
};

static const enum event stage_events[MILTER_STAGES] = {
	[MILTER_CONNECT] = EVENT_CONNECT,
	[MILTER_HELO] = EVENT_HELO,
	[MILTER_MAIL] = EVENT_MAIL,
	[MILTER_RCPT] = EVENT_RCPT,
	[MILTER_DATA] = EVENT_DATA,
	[MILTER_UNKNOWN] = EVENT_UNKNOWN,
	[MILTER_CONTENT] = EVENT_END,
};

static bool
is_in(const struct talk *t, unsigned int states)
{
	return (IN(t->state) & states) != 0;
}

/* --- the end --- */

void
talk_fail(struct talk *t, bool lost, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (t->stream == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	t->fault = xstrdup(text);
	t->lost = lost;
	stream_close(&t->stream);
	timer_free(&t->more);
	t->state = TALK_DEAD;
	t->waiting = EVENT_NONE;
	t->blocked = t->held = t->in_message = false;
	loop_after_cancel(t->loop, &t->unhold);
}

/* Its last act: the owner may free the conversation. */
void
talk_answer_now(struct talk *t)
{
	struct talk_answer a = t->answer;

	t->open = false;
	t->ops->on_answer(t->ctx, &a);
}

static void
answer_fault(struct talk *t)
{
	t->answer = (struct talk_answer){
		.verdict = MILTER_TEMPFAIL, .fault = t->fault, .lost = t->lost
	};
}

/* It died in the loop: who has to know? Its last act. */
void
talk_tell_death(struct talk *t)
{
	struct talk_answer a;

	answer_fault(t);
	a = t->answer;
	if (t->open)
		talk_answer_now(t);
	else
		t->ops->on_lost(t->ctx, &a);
}

/* --- to the filter --- */

static uint64_t
reply_timeout(const struct talk *t)
{
	if (t->waiting == EVENT_OFFER)
		return t->milter->connect_timeout;
	if (t->waiting == EVENT_NONE) /* for its reading, of content */
		return t->milter->content_timeout;
	return t->waiting < EVENT_HEADER ? t->milter->command_timeout :
					   t->milter->content_timeout;
}

/* One reply is due, all of it by then. */
static void
wait_for(struct talk *t, enum event e)
{
	uint64_t total = t->milter->total_timeout, ms;

	t->waiting = e;
	ms = reply_timeout(t);
	if (e < EVENT_HEADER)
		t->total_at_ms =
		    loop_now_ms(t->loop) + (total < ms ? ms : total);
	talk_wait_on(t);
}

/* It works on: more time, but not for ever. */
void
talk_wait_on(struct talk *t)
{
	uint64_t now = loop_now_ms(t->loop);
	uint64_t ms = reply_timeout(t);
	uint64_t left = t->total_at_ms > now ? t->total_at_ms - now : 1;

	stream_deadline(t->stream, ms < left ? ms : left);
}

static void
send_code(struct talk *t, char code)
{
	const char packet[PACKET_HEAD] = { 0, 0, 0, 1, code };

	stream_write(t->stream, packet, sizeof(packet));
}

void
talk_pass(struct talk *t, enum event e)
{
	if (moves[e].to != TALK_KEEP)
		t->state = moves[e].to;
}

/* Macros and packet, as far as they are wanted. -1: too long. */
static int
encode(const struct talk *t, enum event e, struct str payload, struct buf *out)
{
	const struct event_row *row = event_row(e);
	bool omitted = (t->agreed.steps & row->omit) != 0;

	/* Macros are for later stages too; those of the headers' end are not
	 * (Sendmail). */
	if (row->macros != MACROS_NONE && (!omitted || e != EVENT_EOH))
		macros_encode(out, row->code, row->macros,
		    t->agreed.macros[row->macros], t->facts);
	if (omitted)
		return 0;
	size_t start = packet_start(out, row->code);
	if (row->payload != NULL)
		row->payload(out, t->facts);
	else
		buf_add_str(out, payload);
	return packet_finish(out, start);
}

void
talk_send(struct talk *t, enum event e, struct str payload)
{
	const struct event_row *row = event_row(e);
	struct buf out;

	assert(is_in(t, moves[e].from));
	buf_init(&out, EVENT_BYTES_MAX);
	if (encode(t, e, payload, &out) != 0) {
		talk_fail(t, false, "%s is too long for a filter", row->name);
		buf_clear(&out);
		return;
	}
	if (out.len > 0)
		stream_write(t->stream, out.p, out.len);
	buf_clear(&out);
	if ((t->agreed.steps & (row->omit | row->quiet)) != 0)
		talk_pass(t, e);
	else {
		if (t->waiting != EVENT_NONE)
			t->ahead++;
		wait_for(t, e);
	}
	if (e >= EVENT_MAIL && e != EVENT_UNKNOWN &&
	    (t->agreed.steps & row->omit) == 0)
		t->in_message = true;
}

bool
talk_is_silent(struct talk *t)
{
	char c;
	ssize_t n = recv(stream_fd(t->stream), &c, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n > 0)
		talk_fail(t, false, "it spoke when nothing was asked");
	else if (n == 0)
		talk_fail(t, true, "it closed the connection");
	else if (errno != EAGAIN && errno != EINTR)
		talk_fail(t, true, "connection lost: %s", strerror(errno));
	return t->stream != NULL;
}

/* --- questions --- */

static void
leave_message(struct talk *t)
{
	if (!t->in_message)
		return;
	send_code(t, 'A');
	t->in_message = false;
	t->state = TALK_SESSION;
}

/* May it be asked this at all? Else it goes on without. */
static bool
wants(struct talk *t)
{
	unsigned int from = moves[t->question].from;

	if (t->question == EVENT_END) {
		from = moves[EVENT_HEADER].from;
		if (!is_in(t,
			from | IN(TALK_DONE_MESSAGE) | IN(TALK_DONE_SESSION)))
			talk_fail(t, false, "content without a recipient");
	} else if ((t->question == EVENT_HELO || t->question == EVENT_MAIL) &&
		   t->state != TALK_DONE_SESSION) {
		leave_message(t);
	}
	return is_in(t, from);
}

static void
begin(struct talk *t)
{
	t->begun = true;
	t->answer = (struct talk_answer){ .verdict = MILTER_CONTINUE };
	if (t->stream == NULL || !wants(t))
		return;
	if (t->stale)
		talk_fail(t, true, "it refused a field before others");
	else
		talk_is_silent(t);
	if (t->stream == NULL)
		return;
	if (t->question != EVENT_END) {
		talk_send(t, t->question, (struct str){ NULL, 0 });
		return;
	}
	/* One limit for all of it: so long the client has patience. */
	t->total_at_ms = loop_now_ms(t->loop) + t->milter->total_timeout;
	edits_negotiated(t->show.edits,
	    (t->agreed.steps & STEP_LEAD_SPACE) != 0, t->agreed.actions);
	talk_show(t);
}

/* Goes on with the open question. True: it has its answer. */
bool
talk_run(struct talk *t)
{
	if (t->state == TALK_OFFERED || t->waiting != EVENT_NONE)
		return false;
	if (!t->begun)
		begin(t);
	else if (t->question == EVENT_END)
		talk_show(t);
	if (t->stream == NULL)
		answer_fault(t);
	return t->waiting == EVENT_NONE && !t->blocked;
}

static bool
ask(struct talk *t, enum event question, struct talk_answer *a)
{
	assert(!t->open);
	t->open = true;
	t->begun = false;
	t->question = question;
	free(t->reply);
	t->reply = NULL;
	if (!talk_run(t))
		return false;
	t->open = false;
	*a = t->answer;
	return true;
}

bool
talk_ask(struct talk *t, enum milter_stage stage, struct talk_answer *a)
{
	assert(stage < MILTER_CONTENT);
	return ask(t, stage_events[stage], a);
}

bool
talk_content(struct talk *t, const struct headers *headers,
    const struct milter_mail *mail, struct edits *edits, struct talk_answer *a)
{
	t->show = (struct talk_showing){
		.headers = headers, .mail = mail, .edits = edits
	};
	return ask(t, EVENT_END, a);
}

void
talk_unblock(struct talk *t)
{
	if (!t->blocked)
		return;
	t->blocked = false;
	stream_deadline(t->stream, 0);
	if (talk_run(t))
		talk_answer_now(t);
}

/* --- recipients that we refused --- */

/* The next one that it has to be told of: its macros and RCPT. */
void
talk_send_refused(struct talk *t)
{
	struct packet p = { 0 };
	uint32_t length;
	size_t n = 0;

	if (t->refused.len == 0 || t->state != TALK_RCPT) {
		buf_clear(&t->refused);
		return;
	}
	while (p.code != 'R' && packet_decode(str_skip(buf_str(&t->refused), n),
				    &p, &length) == PACKET_WHOLE)
		n += packet_size(&p);
	stream_write(t->stream, t->refused.p, n);
	buf_drop(&t->refused, n);
	wait_for(t, EVENT_RCPT);
}

void
talk_tell_refused(struct talk *t)
{
	struct buf out;

	if (t->open || !is_in(t, moves[EVENT_RCPT].from) ||
	    (t->agreed.steps & STEP_REFUSED) == 0 ||
	    (t->agreed.steps & STEP_NO_RCPT) != 0)
		return;
	buf_init(&out, EVENT_BYTES_MAX);
	if (encode(t, EVENT_RCPT, (struct str){ NULL, 0 }, &out) == 0) {
		t->state = TALK_RCPT;
		t->in_message = true;
		bool quiet = (t->agreed.steps & STEP_QUIET_RCPT) != 0;
		size_t held = quiet ? stream_unsent(t->stream) : t->refused.len;
		/* What is too much is not worth telling. */
		if (held + out.len <= REFUSED_MAX && quiet)
			stream_write(t->stream, out.p, out.len);
		else if (held + out.len <= REFUSED_MAX)
			buf_add(&t->refused, out.p, out.len);
	}
	buf_clear(&out);
	if (t->waiting == EVENT_NONE)
		talk_send_refused(t);
}

void
talk_abort(struct talk *t)
{
	if (t->stream == NULL)
		return;
	if (t->open) {
		t->open = false;
		talk_fail(t, false, "given up while it was asked");
		return;
	}
	leave_message(t);
	buf_clear(&t->refused);
}

/* --- the stream --- */

static void
on_drained(void *ctx)
{
	struct talk *t = ctx;

	t->connected = true;
	talk_unblock(t);
}

static void
on_timeout(void *ctx)
{
	struct talk *t = ctx;

	if (t->blocked)
		talk_fail(t, false, "it does not read");
	else if (!t->connected)
		talk_fail(t, false, "not connected in time");
	else
		talk_fail(t, false, "no reply to %s in time",
		    event_row(t->waiting)->name);
	talk_tell_death(t);
}

static void
on_end(void *ctx, int error)
{
	struct talk *t = ctx;
	const char *why = error == 0 ? "closed" : strerror(error);

	if (!t->connected)
		talk_fail(t, true, "cannot connect: %s", why);
	else if (t->waiting != EVENT_NONE)
		talk_fail(t, true, "connection lost before its reply to %s: %s",
		    event_row(t->waiting)->name, why);
	else
		talk_fail(t, true, "connection lost: %s", why);
	talk_tell_death(t);
}

/* --- life --- */

static const struct stream_ops stream_ops = { talk_take, on_drained, on_timeout,
	on_end, NULL };

static void
on_unhold(void *arg)
{
	struct talk *t = arg;

	t->held = false;
	talk_answer_now(t);
}

static void
on_release(void *arg)
{
	struct talk *t = arg;

	free(t);
}

struct talk *
talk_new(struct loop *l, int fd, const struct milter *milter,
    const struct milter_facts *facts, const struct talk_ops *ops, void *ctx)
{
	struct talk *t = xcalloc(1, sizeof(*t));
	struct buf offer;
	int on = 1;

	t->loop = l;
	t->milter = milter;
	t->facts = facts;
	t->ops = ops;
	t->ctx = ctx;
	t->state = TALK_OFFERED;
	deferred_init(&t->release, on_release, t);
	deferred_init(&t->unhold, on_unhold, t);
	buf_init(&t->refused, REFUSED_MAX);
	buf_init(&offer, PACKET_SEND_MAX);
	/* Replies are short and waited for. (Not for Unix sockets.) */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	t->stream = stream_new(l, fd, true, &stream_ops, t);
	negotiate_offer(&offer);
	stream_write(t->stream, offer.p, offer.len);
	buf_clear(&offer);
	wait_for(t, EVENT_OFFER);
	return t;
}

void
talk_free(struct talk **p)
{
	struct talk *t = *p;

	*p = NULL;
	if (t == NULL)
		return;
	if (t->stream != NULL && t->state != TALK_OFFERED) {
		leave_message(t);
		send_code(t, 'Q');
	}
	stream_close(&t->stream);
	timer_free(&t->more);
	buf_clear(&t->refused);
	free(t->reply);
	free(t->fault);
	t->fault = NULL;
	loop_after_cancel(t->loop, &t->unhold);
	loop_after(t->loop, &t->release);
}

bool
talk_negotiated(
    const struct talk *t, uint32_t *version, uint32_t *actions, uint32_t *steps)
{
	*version = t->agreed.version;
	*actions = t->agreed.actions;
	*steps = t->agreed.steps;
	return t->agreed.version != 0;
}

bool
talk_is_dead(const struct talk *t)
{
	return t->stream == NULL;
}
