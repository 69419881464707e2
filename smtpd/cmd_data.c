/* DATA (RFC 5321 4.1.1.4). */
#include "smtpd/cmd_data.h"

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "smtpd/body.h"
#include "smtpd/cmd_bdat.h"
#include "smtpd/command.h"
#include "smtpd/commit.h"
#include "smtpd/filtering.h"
#include "smtpd/from_queue.h"
#include "smtpd/limits.h"
#include "smtpd/received.h"
#include "smtpd/recorder.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"
#include "smtpd/submission.h"
#include "smtpd/tx.h"

static const struct {
	const char *reply, *why;
	bool close;
} faults[] = {
	[BODY_FINE] = { NULL, NULL, false },
	[BODY_BARE] = { "550 5.5.2 The message holds a bare CR, LF or NUL",
	    "bare-newline", true },
	[BODY_TOO_BIG] = { "552 5.3.4 Message is too big", "size", false },
	[BODY_HEADER_SIZE] = { "552 5.3.4 The header is too big", "header-size",
	    false },
	[BODY_HEADER_FIELD] = { "552 5.3.4 A header field is too long",
	    "header-field", false },
	[BODY_HEADER_COUNT] = { "554 5.6.0 Too many header fields",
	    "header-fields", false },
	[BODY_HOPS] = { "554 5.4.6 Too many hops, the message loops", "hops",
	    false },
	[BODY_LINE] = { "554 5.6.0 A line is too long", "text-line", false },
	[BODY_NO_SPACE] = { "452 4.3.1 Out of space, try again later", "space",
	    false },
	[BODY_NO_FILE] = { "451 4.3.0 Mail could not be stored, try again later",
	    "storage", false },
};

enum stage
data_check(const struct session *s, struct command *c)
{
	if (s->tx->nrcpt > 0)
		return STAGE_GO;
	return command_refuse(c, "sequence",
	    s->tx->nrefused > 0 ? "503 5.5.1 No valid recipients" :
				  "503 5.5.1 Need RCPT command");
}

enum stage
data_limits(const struct session *s, struct command *c)
{
	(void)s;
	return from_queue_check(c);
}

/* Bare newlines are forgiven to the sources listed for it. */
static bool
is_excepted(const struct session *s)
{
	const struct table *t = s->config->bare_newline_except;

	return t != NULL && table_find_source(t, &s->client, NULL);
}

void
data_await(struct session *s)
{
	const struct limits *l = &s->config->limits;
	const struct body *b = s->body;
	uint64_t now = clock_mono_ms();
	uint64_t due = now + l->data_timeout;
	uint64_t end = b->begin_ms - b->idle_ms + l->data_total;

	if (end < due)
		due = end;
	if (l->data_rate > 0) {
		/* When the average falls below the rate, if nothing comes. */
		uint64_t slow = b->raw * 1000 / l->data_rate;

		if (slow < l->data_grace)
			slow = l->data_grace;
		if (b->begin_ms + slow < due)
			due = b->begin_ms + slow;
	}
	stream_deadline(s->stream, due > now ? due - now : 1);
}

void
data_read_on(struct session *s)
{
	stream_resume(s->stream);
	if (s->ended) /* after what the stream still has for us */
		loop_after(s->loop, &s->after);
}

/* Goes on after each piece of content. */
static void data_go_on(struct session *s);

/* A file for the body is there, or there is none to be had. */
static void
on_file(void *ctx, struct content *content, bool ok)
{
	struct session *s = ctx;

	(void)content;
	(void)ok;
	body_check(s->body);
	session_enter(s, s->body->chunked ? SESSION_CHUNK : SESSION_BODY);
	/* The client is not to blame for the wait. */
	s->body->begin_ms += clock_mono_ms() - s->busy_ms;
	data_go_on(s);
	if (s->state == SESSION_BODY || s->state == SESSION_CHUNK)
		data_read_on(s);
}

void
data_begin(struct session *s)
{
	s->body = body_new(&s->config->limits, limits_message_size(s),
	    is_excepted(s), on_file, s);
	s->body->content.size_hint = s->tx->params.size;
	submission_begin(s);
}

enum stage
data_apply(struct session *s, struct command *c)
{
	data_begin(s);
	session_say(s, "354 End data with <CR><LF>.<CR><LF>");
	session_enter(s, SESSION_BODY);
	data_await(s);
	if (c->was_waiting)
		data_read_on(s);
	return STAGE_WAITING;
}

void
data_answered(struct command *c)
{
	/* Whatever the answer is (RFC 5321 4.1.1.4). */
	c->ends_tx = true;
	command_done(c);
}

/* Last, with all that is known of the client by then. */
static void
add_received(struct session *s)
{
	struct buf b;

	buf_init(&b, RECEIVED_MAX);
	received_format(s, &b);
	body_prepend(s->body, buf_str(&b));
	buf_clear(&b);
}

enum stage
data_refuse(struct command *c, enum body_fault fault)
{
	c->close = faults[fault].close;
	if (fault == BODY_BARE)
		stats_add(STAT_BARE_NEWLINES, 1);
	return command_refuse(c, faults[fault].why, faults[fault].reply);
}

static void data_commit(struct command *c);

/* The file is one of the present queue's, or there is none to be had. */
static void
on_moved(void *ctx, struct content *content, bool ok)
{
	struct session *s = ctx;

	(void)content;
	(void)ok;
	data_commit(s->command);
}

/* A queue has handed over to the next while filters thought. */
static bool
data_moves(struct session *s)
{
	struct content *content = &s->body->content;

	if (s->body->fault != BODY_FINE || !content_is_stranded(content))
		return false;
	content->on_file = on_moved;
	content->ctx = s;
	if (!content_ask_file(content))
		return false;
	session_enter(s, SESSION_BUSY);
	return true;
}

/* What is there goes to the queue, or is refused for what is wrong with it. */
static void
data_commit(struct command *c)
{
	if (data_moves(c->session))
		return;
	/* The queue may be another than the one that its file is of. */
	enum body_fault f = body_finish(c->session->body);

	if (f == BODY_FINE) {
		commit_begin(c);
		return;
	}
	data_refuse(c, f);
	data_answered(c);
}

/* Asks the filters, or takes their answer. */
static void
data_filter(struct command *c)
{
	struct session *s = c->session;

	switch (filtering_content(s->filtering, c)) {
	case STAGE_GO:
		data_commit(c);
		break;
	case STAGE_WAITING:
		session_enter(s, SESSION_FILTERING);
		break;
	case STAGE_ANSWERED:
		data_answered(c);
		break;
	}
}

void
data_filtered(struct command *c)
{
	data_filter(c);
}

void
data_end(struct session *s)
{
	if (!s->body->chunked)
		recorder_note(
		    s, "content %llu bytes", (unsigned long long)s->body->raw);
	if (body_finish(s->body) == BODY_FINE) {
		submission_fix(s);
		add_received(s);
		filtering_strip(s);
	}
	if (s->filtering != NULL && s->body->fault == BODY_FINE)
		data_filter(s->command);
	else
		data_commit(s->command);
}

bool
data_waits_for_file(struct session *s)
{
	if (!body_needs_file(s->body) || !body_ask_file(s->body))
		return false;
	session_enter(s, SESSION_BUSY);
	return true; /* until on_file */
}

static void
data_go_on(struct session *s)
{
	if (s->body->chunked)
		bdat_go_on(s);
	else if (data_waits_for_file(s))
		return;
	else if (s->body->ended)
		data_end(s);
	else
		data_await(s);
}

bool
data_is_beyond(const struct body *b)
{
	return b->raw / 2 > b->max_size && b->fault != BODY_FINE;
}

size_t
data_input(struct session *s, struct str in)
{
	struct body *b = s->body;
	size_t used = body_feed(b, in);

	if (data_is_beyond(b)) {
		/* Refused it is whatever comes; there is an end to patience. */
		session_end(s, "421 4.7.0 Message is far too big", "size");
		return in.len;
	}
	data_go_on(s);
	return used;
}

void
data_timeout(struct session *s)
{
	bool slow = s->body->raw > 0;

	stats_add(slow ? STAT_LIMIT_SLOW : STAT_TIMEOUTS, 1);
	session_end(s, "421 4.4.2 Timeout", "data-timeout");
}
