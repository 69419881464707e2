/*
 * Runs the table of smtp_states.c over one connection.
 *
 * Replies are heard one after the other; what follows from the last one is
 * done when all input is used. So whatever the server says before we asked
 * is seen as such, and ends the connection.
 */
#include "delivery/smtp_client.h"

#include <errno.h>
#include <string.h>

#include "delivery/idle.h"
#include "delivery/secure.h"
#include "lib/base/log.h"

static void say_on(struct conn *c);

/* --- the end of a connection --- */

void
client_set_relay(const struct conn *c, struct verdict *v)
{
	(void)conn_format(c, v->relay);
	(void)secure_format(c, v->tls);
}

/* The end of the mail is still here. */
static bool
is_cut(const struct conn *c)
{
	return c->hearing == STATE_BODY ||
	       ((c->hearing == STATE_DOT || c->chunk_said) &&
		   stream_unsent(c->stream) > 0);
}

/* All of it may be there although nobody said so: the mail has left, and
 * whatever would have come back is lost. Nobody can tell that from a kept
 * connection that the server had closed before. */
static bool
is_in_doubt(const struct conn *c, const struct verdict *v)
{
	if (c->work->nopen == c->work->nleft || is_cut(c))
		return false;
	if (c->hearing == STATE_DOT)
		return true;
	if (!c->chunk_said)
		return false;
	/* A server that says 421 before it has a recipient reads no mail. */
	return c->hearing == STATE_BDAT ||
	       ((c->hearing == STATE_MAIL || c->hearing == STATE_RCPT) &&
		   (v->code == 0 || c->ntaken > 0));
}

/* Who is in doubt gets no other next hop now, and no chunk from us for a
 * while. */
static void
leave_in_doubt(struct conn *c, struct verdict *v)
{
	if (c->chunk_said)
		hop_set_plain(c->hop, loop_now_ms(c->loop));
	v->possible_duplicate = true;
	result_tell_all(c->work, TO_ASKED, v);
	result_tell_all(c->work, TO_TAKEN, v);
	v->possible_duplicate = false;
}

/* v is why; the owner may give the work to another connection. */
void
client_lost(struct conn *c, struct verdict *v, enum lost how)
{
	struct work *w = c->work;

	client_set_relay(c, v);
	log_debug(NULL, "lost", "relay=%s why=%s", log_cstr(v->relay),
	    log_cstr(v->text));
	if (w != NULL && is_in_doubt(c, v))
		leave_in_doubt(c, v);
	if (w != NULL)
		work_reopen(w);
	if (is_cut(c))
		conn_abort(c);
	else
		conn_close(c);
	c->ops->on_lost(c, v, how);
}

static void
lost_by_reply(struct conn *c)
{
	struct verdict v = { 0 };

	verdict_of_reply(&v, &c->reply);
	/* Only a greeting can say "never"; else it is about today. */
	if (v.outcome != OUTCOME_DEFERRED &&
	    (c->hearing != STATE_GREETING || v.outcome != OUTCOME_FAILED)) {
		v.outcome = OUTCOME_DEFERRED;
		v.status.class = 4;
	}
	client_lost(c, &v, c->hearing < STATE_READY ? LOST_HOP : LOST_LINE);
}

void
client_breach(struct conn *c, const char *what)
{
	struct verdict v = { 0 };
	char text[PLACE_TEXT_MAX];

	verdict_set(&v, "4.5.0", "protocol error: %s (%s)", what,
	    client_row(c->hearing)->name);
	log_info(NULL, "breach", "relay=%s state=%s why=%s",
	    log_cstr(conn_format(c, text)),
	    log_cstr(client_row(c->hearing)->name), log_cstr(what));
	client_lost(c, &v, LOST_HOP);
}

static void
on_end(void *ctx, int error)
{
	struct conn *c = ctx;
	struct verdict v = { 0 };
	const char *name = client_row(c->hearing)->name;

	if (c->hearing == STATE_QUIT) {
		conn_close(c);
		return;
	}
	if (c->hearing == STATE_CONNECT)
		verdict_set(&v, "4.4.1", "connect: %s", strerror(error));
	else if (error != 0)
		verdict_set(&v, "4.4.2", "lost connection in %s: %s", name,
		    strerror(error));
	else
		verdict_set(&v, "4.4.2",
		    "the server closed the connection in %s", name);
	client_lost(c, &v, c->hearing < STATE_READY ? LOST_HOP : LOST_LINE);
}

static void
on_timeout(void *ctx)
{
	struct conn *c = ctx;
	struct verdict v = { 0 };

	if (c->hearing == STATE_QUIT) {
		conn_close(c);
		return;
	}
	if (c->hearing == STATE_READY) {
		client_quit(c);
		return;
	}
	if (c->hearing == STATE_SECURING) {
		client_unshaken(c);
		return;
	}
	verdict_set(&v, c->hearing == STATE_CONNECT ? "4.4.1" : "4.4.2",
	    "timed out in %s", client_row(c->hearing)->name);
	client_lost(
	    c, &v, c->hearing == STATE_CREDENTIALS ? LOST_LINE : LOST_HOP);
}

void
client_body_failed(struct conn *c, const char *why)
{
	struct verdict v = { 0 };

	verdict_set(&v, "4.3.0", "cannot read the mail: %s", why);
	client_set_relay(c, &v);
	/* No next hop can help: the others are not asked. */
	result_tell_all(c->work, TO_TAKEN, &v);
	result_tell_all(c->work, TO_OPEN, &v);
	client_lost(c, &v, LOST_LINE);
}

/* --- saying --- */

static void
expect(struct conn *c, enum client_state st)
{
	const char *numbers = (const char *)&c->numbers;
	uint64_t ms;

	c->hearing = st;
	memcpy(&ms, numbers + client_row(st)->timeout, sizeof(ms));
	stream_deadline(c->stream, ms);
}

/* How the content goes. */
static enum client_state
content_of(const struct conn *c)
{
	return c->by_bdat ? STATE_BDAT : STATE_DATA;
}

/* The row of the run that is said after this one. */
static enum client_state
behind(struct conn *c, enum client_state st)
{
	if (st == STATE_RCPT && client_next_rcpt(c) != NULL)
		return STATE_RCPT;
	return st == STATE_RCPT ? content_of(c) : client_row(st)->run;
}

/* Nobody would get it: MAIL, or all of RCPT, was answered with no. */
static bool
is_hopeless(const struct conn *c)
{
	return c->work != NULL &&
	       ((c->saying == STATE_RCPT && c->refused) ||
		   (c->saying == STATE_DATA && c->ntaken == 0));
}

/* Says what may be said now: all of a run with PIPELINING, else one. */
static void
say_on(struct conn *c)
{
	while (c->stream != NULL && c->saying != STATE_NONE) {
		const struct client_row *row = client_row(c->saying);
		enum client_state st = c->saying;

		if (c->nwaiting > 0 &&
		    !(row->joins && (c->caps & CAP_PIPELINING)))
			return;
		if (c->nwaiting == 0) {
			if (is_hopeless(c)) {
				c->saying = STATE_RSET;
				continue;
			}
			expect(c, st);
		}
		c->nwaiting += !row->silent;
		c->saying = STATE_NONE;
		if (row->say != NULL)
			row->say(c);
		if (c->stream != NULL)
			c->saying = behind(c, st);
	}
}

void
client_say(struct conn *c, enum client_state st)
{
	c->saying = st;
	say_on(c);
}

/* --- hearing --- */

/* By LMTP the content has a reply for each that was taken. */
static void
expect_each(struct conn *c, enum client_state st)
{
	if (c->policy->lmtp && c->ntaken > 0)
		c->nwaiting = c->ntaken;
	expect(c, st);
}

/* Whose reply is next within a run that was said as a whole; said step by
 * step, say_on knows. */
static void
run_on(struct conn *c)
{
	const struct work *w = c->work;

	if (c->nwaiting == 0)
		return;
	while (c->hear_at < w->nrcpts && !w->rcpts[c->hear_at].in_tx)
		c->hear_at++;
	if (c->hear_at < w->nrcpts)
		expect(c, STATE_RCPT);
	else if (c->by_bdat)
		expect_each(c, STATE_BDAT);
	else
		expect(c, STATE_DATA);
}

/* Where a reply leads: to a state. */
static enum client_state
resolve(struct conn *c, enum client_state next)
{
	if (next == STATE_CHOOSE)
		return client_next_command(c);
	if (next == STATE_ENTER)
		return client_next_step(c);
	return next == STATE_HELLO ? client_hello(c) : next;
}

static bool
is_about_mail(const struct conn *c)
{
	return c->hearing == STATE_DOT || c->hearing == STATE_BDAT;
}

/* Where the reply leads; what is said next waits for the end of input. */
static void
follow(struct conn *c, enum client_state next)
{
	if (c->nwaiting > 0 && is_about_mail(c)) {
		expect(c, c->hearing);
	} else if (next == STATE_LOST) {
		lost_by_reply(c);
	} else if (next == STATE_END) {
		conn_close(c);
	} else if (next == STATE_RUN) {
		run_on(c);
	} else {
		c->then = resolve(c, next);
	}
}

/* A yes to the mail has to be the last word, and behind the last of ours. With
 * one reply too many in a run nobody knows which was for what; that the server
 * closes it may say. */
static bool
is_shifted(const struct conn *c, struct str rest)
{
	return stream_unsent(c->stream) > 0 ||
	       (c->hearing == STATE_BDAT && c->nwaiting == 0 && rest.len > 0 &&
		   !str_starts_nocase(rest, STR("421")));
}

/* One whole reply, and what lies there behind it. */
static void
hear(struct conn *c, struct str rest)
{
	const struct client_row *row = client_row(c->hearing);
	unsigned int class = c->reply.code / 100U;
	enum client_heard what = class == row->accept ? HEARD_OK :
				 class == 4           ? HEARD_TEMP :
							HEARD_PERM;

	c->nwaiting--;
	c->heard = c->heard || c->reply.code != 421;
	auth_hide(c);
	if ((what == HEARD_PERM && class != 5) ||
	    (what == HEARD_OK && is_about_mail(c) && is_shifted(c, rest))) {
		client_breach(c, "an answer to something else");
		return;
	}
	/* 421: it ends the connection whatever we asked; to the mail itself
	 * it is an answer too. */
	if (row->heard != NULL &&
	    (c->reply.code != 421 || c->hearing >= STATE_BODY))
		row->heard(c, what);
	if (c->stream == NULL)
		return;
	if (c->reply.code == 421)
		lost_by_reply(c);
	else
		follow(c, row->next[what]);
}

static void
on_line(struct conn *c, struct str line, struct str rest)
{
	enum reply_result got = reply_add_line(&c->reply, line);

	if (got == REPLY_BAD) {
		client_breach(c, "malformed reply");
		return;
	}
	if (c->reply.nlines > 1 &&
	    (c->hearing == STATE_EHLO || c->hearing == STATE_LHLO))
		client_learn(c, str_trim(str_skip(line, 4)));
	if (got == REPLY_DONE) {
		hear(c, rest);
		reply_init(&c->reply);
	}
}

/* What the last reply led to, now that nothing more lies there. */
static void
go_on(struct conn *c)
{
	enum client_state then = c->then;

	if (then == STATE_NONE) {
		say_on(c);
		return;
	}
	c->then = STATE_NONE;
	if (then == STATE_READY) {
		c->hearing = STATE_READY;
		c->ops->on_ready(c);
		return;
	}
	c->saying = then;
	say_on(c);
}

/* Words nobody asked for: between transactions it may say that it closes. */
static void
unasked(struct conn *c, struct str in)
{
	struct verdict v = { 0 };

	if (c->then == STATE_SECURING) {
		client_injected(c);
	} else if (str_starts_nocase(in, STR("421"))) {
		verdict_set(&v, "4.4.2", "the server closes the connection");
		client_lost(c, &v, LOST_LINE);
	} else {
		client_breach(c, "a reply that nobody asked for");
	}
}

static size_t
on_data(void *ctx, struct str in)
{
	struct conn *c = ctx;
	size_t at = 0, used;
	struct str line;

	while (c->stream != NULL && at < in.len && c->nwaiting > 0) {
		switch (
		    line_next(str_skip(in, at), REPLY_LINE_MAX, &line, &used)) {
		case LINE_MORE:
			return at;
		case LINE_OK:
			at += used;
			on_line(c, line, str_skip(in, at));
			break;
		case LINE_BARE:
			client_breach(
			    c, "a line end that is not CRLF, or a NUL");
			break;
		case LINE_LONG:
			client_breach(c, "endless line");
			break;
		}
	}
	if (c->stream == NULL)
		return in.len;
	if (at < in.len)
		unasked(c, str_skip(in, at));
	else
		go_on(c);
	return in.len;
}

/* We talk to ourselves: the mail would come back for ever. */
static void
looped(struct conn *c)
{
	struct verdict v = { 0 };

	c->is_ours = true;
	if (c->work != NULL)
		c->work->talked = true; /* nothing is wrong with the network */
	verdict_set(
	    &v, "5.4.6", "mail loop: the next hop is this gateway itself");
	client_lost(c, &v, LOST_LINE);
}

static void
on_drained(void *ctx)
{
	struct conn *c = ctx;

	if (c->hearing != STATE_CONNECT)
		body_go_on(c);
	else if (c->may_be_ours &&
		 hop_is_here(&c->hop->at, stream_fd(c->stream)))
		looped(c);
	else if (c->policy->at_once)
		client_say(c, STATE_SECURING);
	else
		client_await_greeting(c);
}

void
client_await_greeting(struct conn *c)
{
	c->nwaiting = 1;
	expect(c, STATE_GREETING);
}

void
client_body_written(struct conn *c)
{
	expect_each(c, STATE_DOT);
}

/* --- from the owner --- */

static const struct stream_ops stream_ops = {
	.on_data = on_data,
	.on_drained = on_drained,
	.on_timeout = on_timeout,
	.on_end = on_end,
	.on_secure = client_secured,
};

void
client_connecting(struct conn *c, int fd)
{
	c->stream = stream_new(c->loop, fd, true, &stream_ops, c);
	reply_init(&c->reply);
	expect(c, STATE_CONNECT);
}

int
client_begin(struct conn *c)
{
	client_screen(c);
	if (c->work->nopen == 0)
		return -1;
	c->nmessages++;
	c->say_at = c->hear_at = 0;
	c->nasked = c->ntaken = 0;
	c->refused = false;
	client_choose_body(c);
	client_say(c, client_next_command(c));
	return 0;
}

void
client_quit(struct conn *c)
{
	idle_del(c);
	client_say(c, STATE_QUIT);
}
