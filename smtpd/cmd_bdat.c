/*
 * BDAT (RFC 3030 2): each chunk is a command of its own, which takes as many
 * octets as it said; the last ends the mail as the dot does. An error ends
 * the transaction, and chunks that were sent behind it are skipped.
 */
#include "smtpd/cmd_bdat.h"

#include <inttypes.h>

#include "lib/base/clock.h"
#include "smtpd/body.h"
#include "smtpd/cmd_data.h"
#include "smtpd/filtering.h"
#include "smtpd/limits.h"
#include "smtpd/recorder.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"
#include "smtpd/tx.h"

enum {
	/* So many chunks of one mail may be small ones. */
	CHUNKS_FREE = 10000,
	CHUNK_SMALL = 1024
};

/* --- the line --- */

static bool
is_number(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!chr_is_digit(s.p[i]))
			return false;
	return s.len > 0;
}

enum stage
bdat_size(struct command *c)
{
	struct str number = str_head(c->args, str_find(c->args, ' '));
	struct str rest = str_skip(c->args, number.len + 1);
	uint64_t max = 2 * limits_message_size(c->session);

	c->close = true;
	/* A count with zeros in front is one somebody else may read as octal.
	 */
	if (!is_number(number) || (number.len > 1 && number.p[0] == '0') ||
	    (c->args.len > number.len && !str_eq_nocase(rest, STR("LAST"))))
		return command_refuse(
		    c, "syntax", "501 5.5.4 Syntax: BDAT octets [LAST]");
	if (str_to_u64(number, max, &c->octets) < 0) {
		c->octets = 0;
		return command_refuse(
		    c, "size", "552 5.3.4 Message is far too big");
	}
	c->close = false;
	c->last = rest.len > 0;
	return STAGE_GO;
}

enum stage
bdat_check(const struct session *s, struct command *c)
{
	const struct body *b = s->body;

	if (b == NULL)
		return data_check(s, c);
	if (b->nchunks >= s->config->limits.chunks)
		return command_refuse(
		    c, "chunks", "554 5.6.0 The message has too many chunks");
	/* Too many that are hardly worth their command. */
	c->junk = b->nchunks >= CHUNKS_FREE && c->octets < CHUNK_SMALL;
	return STAGE_GO;
}

enum stage
bdat_limits(const struct session *s, struct command *c)
{
	return s->body == NULL ? data_limits(s, c) : STAGE_GO;
}

enum stage
bdat_filters(struct session *s, struct command *c)
{
	return s->body == NULL ? data_filters(s, c) : STAGE_GO;
}

/* --- octets --- */

bool
bdat_is_whole(const struct session *s)
{
	return s->command->octets == 0 && s->command->reply == NULL;
}

void
bdat_skip(struct command *c)
{
	struct session *s = c->session;
	const struct limits *l = &s->config->limits;
	uint64_t ms = l->data_timeout;

	session_enter(s, SESSION_CHUNK);
	/* For all of them: nothing waits for what they are. */
	if (l->data_rate > 0)
		ms += c->octets * 1000 / l->data_rate;
	stream_deadline(s->stream, ms < l->data_total ? ms : l->data_total);
	if (c->was_waiting)
		data_read_on(s);
	c->was_waiting = true;
}

/* The answer to a chunk whose octets are all there. */
static void
chunk_done(struct session *s)
{
	struct command *c = s->command;
	struct body *b = s->body;

	b->nchunks++;
	recorder_note(s, "content %" PRIu64 " bytes", c->size);
	if (c->last) {
		stats_add(STAT_BDAT, 1);
		data_end(s);
		return;
	}
	if (b->fault != BODY_FINE) {
		data_refuse(c, b->fault);
		data_answered(c);
		return;
	}
	b->idle_since_ms = clock_mono_ms();
	command_answerf(c, "250 2.0.0 %" PRIu64 " octets received", c->size);
	command_done(c);
}

void
bdat_go_on(struct session *s)
{
	struct command *c = s->command;

	if (c->octets == 0 && c->last && !s->body->ended)
		body_end_chunks(s->body);
	if (data_waits_for_file(s))
		return;
	if (c->octets == 0)
		chunk_done(s);
	else
		data_await(s);
}

/* The time since the last chunk is the client's to use as it likes. */
static void
go_on_with(struct body *b)
{
	uint64_t ms = clock_mono_ms() - b->idle_since_ms;

	b->idle_ms += ms;
	b->begin_ms += ms;
}

enum stage
bdat_apply(struct session *s, struct command *c)
{
	c->size = c->octets;
	if (s->body != NULL)
		go_on_with(s->body);
	else {
		data_begin(s);
		body_begin_chunks(s->body);
	}
	session_enter(s, SESSION_CHUNK);
	data_await(s);
	if (c->octets == 0)
		loop_after(s->loop, &s->after); /* bdat_go_on */
	else if (c->was_waiting)
		data_read_on(s);
	return STAGE_WAITING;
}

size_t
chunk_input(struct session *s, struct str in)
{
	struct command *c = s->command;
	struct str mine =
	    str_head(in, c->octets < in.len ? (size_t)c->octets : in.len);

	c->octets -= mine.len;
	if (c->reply != NULL) {
		if (c->octets == 0)
			command_done(c);
		return mine.len;
	}
	body_feed(s->body, mine);
	if (data_is_beyond(s->body)) {
		session_end(s, "421 4.7.0 Message is far too big", "size");
		return in.len;
	}
	bdat_go_on(s);
	return mine.len;
}

void
chunk_timeout(struct session *s)
{
	stats_add(
	    s->bytes > 0 && s->body != NULL ? STAT_LIMIT_SLOW : STAT_TIMEOUTS,
	    1);
	session_end(s, "421 4.4.2 Timeout", "data-timeout");
}
