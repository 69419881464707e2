/*
 * Runs the table of smtp_states.c over one connection.
 *
 * Replies are heard one after the other; what follows from the last one is
 * done when all input is used. So whatever the server says before we asked
 * is seen as such, and ends the connection.
 */
#include "delivery/smtp_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "delivery/idle.h"
#include "lib/base/log.h"
#include "lib/mail/envelope.h"

enum { COMMAND_MAX = ENVELOPE_ADDRESS_MAX + 192 };

static void say_on(struct conn *c);

/* --- the end of a connection --- */

static void
set_relay(const struct conn *c, struct verdict *v)
{
	hop_format(&c->hop->at, v->relay);
}

/* v is why; the owner may give the work to another connection. */
static void
lost(struct conn *c, struct verdict *v, bool hop_failed)
{
	struct work *w = c->work;

	set_relay(c, v);
	log_debug(NULL, "lost", "relay=%s why=%s", log_cstr(v->relay),
	    log_cstr(v->text));
	/* After the dot nobody knows whether it was taken. */
	if (w != NULL && c->hearing == STATE_DOT && v->code == 0) {
		v->possible_duplicate = true;
		result_tell_all(w, TO_TAKEN, v);
		v->possible_duplicate = false;
	}
	if (w != NULL)
		work_reopen(w);
	if (c->hearing == STATE_BODY)
		conn_abort(c);
	else
		conn_close(c);
	c->ops->on_lost(c, v, hop_failed);
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
	lost(c, &v, c->hearing < STATE_READY);
}

static void
breach(struct conn *c, const char *what)
{
	struct verdict v = { 0 };
	char text[HOP_TEXT_MAX];

	verdict_set(&v, "4.5.0", "protocol error: %s (%s)", what,
	    client_row(c->hearing)->name);
	log_info(NULL, "breach", "relay=%s state=%s why=%s",
	    log_cstr(hop_format(&c->hop->at, text)),
	    log_cstr(client_row(c->hearing)->name), log_cstr(what));
	lost(c, &v, true);
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
	lost(c, &v, c->hearing < STATE_READY);
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
	verdict_set(&v, c->hearing == STATE_CONNECT ? "4.4.1" : "4.4.2",
	    "timed out in %s", client_row(c->hearing)->name);
	lost(c, &v, true);
}

void
client_body_failed(struct conn *c, const char *why)
{
	struct verdict v = { 0 };

	verdict_set(&v, "4.3.0", "cannot read the mail: %s", why);
	set_relay(c, &v);
	/* No next hop can help: the others are not asked. */
	result_tell_all(c->work, TO_TAKEN, &v);
	result_tell_all(c->work, TO_OPEN, &v);
	lost(c, &v, false);
}

/* --- saying --- */

static void
command(struct conn *c, const char *text, int len)
{
	if (len > 0 && len < COMMAND_MAX)
		stream_write(c->stream, text, (size_t)len);
}

static void
expect(struct conn *c, enum client_state st)
{
	const char *numbers = (const char *)&c->numbers;
	uint64_t ms;

	c->hearing = st;
	memcpy(&ms, numbers + client_row(st)->timeout, sizeof(ms));
	stream_deadline(c->stream, ms);
}

static struct work_rcpt *
next_to_say(struct conn *c)
{
	struct work *w = c->work;

	if (c->nasked >= c->numbers.recipients)
		return NULL;
	while (c->say_at < w->nrcpts && w->rcpts[c->say_at].state != TO_OPEN)
		c->say_at++;
	return c->say_at < w->nrcpts ? &w->rcpts[c->say_at] : NULL;
}

/* The row of the run that is said after this one. */
static enum client_state
behind(struct conn *c, enum client_state st)
{
	if (st == STATE_RCPT && next_to_say(c) != NULL)
		return STATE_RCPT;
	return client_row(st)->run;
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
		c->nwaiting++;
		c->saying = STATE_NONE;
		if (row->say != NULL)
			row->say(c);
		c->saying = behind(c, st);
	}
}

void
say_ehlo(struct conn *c)
{
	char text[COMMAND_MAX];

	command(c, text,
	    snprintf(text, sizeof(text), "EHLO %s\r\n", c->helo));
}

void
say_helo(struct conn *c)
{
	char text[COMMAND_MAX];

	c->caps = 0;
	command(c, text,
	    snprintf(text, sizeof(text), "HELO %s\r\n", c->helo));
}

void
say_mail(struct conn *c)
{
	char text[COMMAND_MAX], size[32] = "";
	const struct work *w = c->work;
	bool eight = (w->flags & ENVELOPE_8BIT) != 0;
	bool utf8 = (w->flags & ENVELOPE_SMTPUTF8) != 0;

	if (c->caps & CAP_SIZE)
		(void)snprintf(size, sizeof(size), " SIZE=%llu",
		    (unsigned long long)work_size(w));
	if (eight && !(c->caps & CAP_8BITMIME))
		log_debug(NULL, "8bit", "msg=%s relay=%s",
		    w->msgid, "sent as it is");
	command(c, text,
	    snprintf(text, sizeof(text), "MAIL FROM:<%s>%s%s%s\r\n", w->from,
	        size, eight && (c->caps & CAP_8BITMIME) ? " BODY=8BITMIME" : "",
	        utf8 && (c->caps & CAP_SMTPUTF8) ? " SMTPUTF8" : ""));
}

void
say_rcpt(struct conn *c)
{
	char text[COMMAND_MAX];
	struct work_rcpt *r = next_to_say(c);

	if (r == NULL)
		return;
	r->in_tx = true;
	c->nasked++;
	work_set_state(c->work, r, TO_ASKED);
	command(c, text,
	    snprintf(text, sizeof(text), "RCPT TO:<%s>\r\n", r->to));
}

void
say_data(struct conn *c)
{
	stream_write(c->stream, "DATA\r\n", 6);
}

void
say_rset(struct conn *c)
{
	stream_write(c->stream, "RSET\r\n", 6);
}

void
say_quit(struct conn *c)
{
	stream_write(c->stream, "QUIT\r\n", 6);
}

/* --- what a reply means for the work --- */

static void
verdict_now(struct conn *c, struct verdict *v)
{
	memset(v, 0, sizeof(*v));
	verdict_of_reply(v, &c->reply);
	set_relay(c, v);
}

/* Once MAIL is refused the RCPTs under way mean nothing: all that were
 * asked, or would be now, share its answer. */
void
heard_mail(struct conn *c, enum client_heard what)
{
	struct verdict v;

	if (what == HEARD_OK)
		return;
	c->refused = true;
	verdict_now(c, &v);
	result_tell_all(c->work, TO_ASKED, &v);
	result_tell_all(c->work, TO_OPEN, &v);
}

void
heard_rcpt(struct conn *c, enum client_heard what)
{
	struct work *w = c->work;
	struct work_rcpt *r;
	struct verdict v;

	while (c->hear_at < w->nrcpts && !w->rcpts[c->hear_at].in_tx)
		c->hear_at++;
	if (c->hear_at == w->nrcpts)
		return;
	r = &w->rcpts[c->hear_at++];
	r->in_tx = false;
	if (r->state != TO_ASKED)
		return;
	if (what == HEARD_OK) {
		work_set_state(w, r, TO_TAKEN);
		c->ntaken++;
		return;
	}
	if (c->ntaken > 0 && reply_is_too_many(&c->reply)) {
		work_set_state(w, r, TO_OPEN);
		return;
	}
	verdict_now(c, &v);
	result_tell(w, r, &v);
}

/* 354 although it took nobody: neither the mail nor a dot of ours may come
 * now, the latter could be taken for an empty mail. */
void
heard_data(struct conn *c, enum client_heard what)
{
	struct verdict v;

	if (what == HEARD_OK && c->ntaken == 0) {
		breach(c, "354 without a recipient");
		return;
	}
	if (what == HEARD_OK)
		return;
	verdict_now(c, &v);
	result_tell_all(c->work, TO_TAKEN, &v);
}

/* A server that has seen enough of the mail says no and hangs up. */
void
heard_early(struct conn *c, enum client_heard what)
{
	struct verdict v;

	(void)what;
	verdict_now(c, &v);
	result_tell_all(c->work, TO_TAKEN, &v);
	lost(c, &v, false);
}

void
heard_dot(struct conn *c, enum client_heard what)
{
	struct verdict v;

	(void)what;
	verdict_now(c, &v);
	result_tell_all(c->work, TO_TAKEN, &v);
}

/* --- hearing --- */

static const struct {
	struct str word;
	uint32_t cap;
} keywords[] = {
	{ { "PIPELINING", 10 }, CAP_PIPELINING },
	{ { "SIZE", 4 }, CAP_SIZE },
	{ { "8BITMIME", 8 }, CAP_8BITMIME },
	{ { "SMTPUTF8", 8 }, CAP_SMTPUTF8 },
};

/* One line of the answer to EHLO, without its code; the first is a name. */
static void
learn_keyword(struct conn *c, struct str line)
{
	size_t end = str_find(line, ' ');
	struct str word = str_head(line, end);
	uint64_t n;

	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (str_eq_nocase(word, keywords[i].word))
			c->caps |= keywords[i].cap;
	if (str_eq_nocase(word, STR("SIZE")) &&
	    str_to_u64(str_trim(str_skip(line, end)), UINT64_MAX, &n) == 0)
		c->size_max = n;
}

/* Where the reply leads; what is said next waits for the end of input. */
static void
follow(struct conn *c, enum client_state next)
{
	const struct client_row *row = client_row(c->hearing);

	if (next == STATE_LOST) {
		lost_by_reply(c);
	} else if (next == STATE_END) {
		conn_close(c);
	} else if (next == STATE_RUN) {
		/* c->saying still says where the run goes on */
		if (c->hearing == STATE_RCPT || c->nwaiting > 0) {
			bool more = false;

			for (uint32_t i = c->hear_at; i < c->say_at + 1U &&
			     i < c->work->nrcpts; i++)
				more = more || c->work->rcpts[i].in_tx;
			expect(c, more ? STATE_RCPT : STATE_DATA);
		} else {
			expect(c, row->run);
		}
	} else {
		c->then = next;
	}
}

/* One whole reply. */
static void
hear(struct conn *c)
{
	const struct client_row *row = client_row(c->hearing);
	unsigned int class = c->reply.code / 100U;
	enum client_heard what = class == row->accept ? HEARD_OK :
	    class == 4 ? HEARD_TEMP : HEARD_PERM;

	c->nwaiting--;
	c->heard = true;
	if (what == HEARD_PERM && class != 5) {
		breach(c, "an answer to something else");
		return;
	}
	/* 421: it shuts the connection whatever we asked; to the mail
	 * itself it is an answer too. */
	if (c->reply.code == 421 && c->hearing < STATE_BODY) {
		lost_by_reply(c);
		return;
	}
	if (row->heard != NULL)
		row->heard(c, what);
	if (c->stream != NULL)
		follow(c, row->next[what]);
}

static void
on_line(struct conn *c, struct str line)
{
	size_t before = c->reply.nlines;

	switch (reply_add_line(&c->reply, line)) {
	case REPLY_BAD:
		breach(c, "malformed reply");
		return;
	case REPLY_MORE:
		if (c->hearing == STATE_EHLO && before > 0)
			learn_keyword(c, str_trim(str_skip(line, 4)));
		return;
	case REPLY_DONE:
		if (c->hearing == STATE_EHLO && before > 0)
			learn_keyword(c, str_trim(str_skip(line, 4)));
		hear(c);
		reply_init(&c->reply);
		return;
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
		expect(c, STATE_READY);
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

	if (str_starts_nocase(in, STR("421"))) {
		verdict_set(&v, "4.4.2", "the server closes the connection");
		lost(c, &v, false);
	} else {
		breach(c, "a reply that nobody asked for");
	}
}

static size_t
on_data(void *ctx, struct str in)
{
	struct conn *c = ctx;
	size_t at = 0, used;
	struct str line;

	while (c->stream != NULL && at < in.len && c->nwaiting > 0) {
		switch (line_next(
		    str_skip(in, at), REPLY_LINE_MAX, &line, &used)) {
		case LINE_MORE:
			return at;
		case LINE_OK:
			on_line(c, line);
			at += used;
			break;
		case LINE_BARE:
			breach(c, "a line end that is not CRLF, or a NUL");
			break;
		case LINE_LONG:
			breach(c, "endless line");
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

static void
on_drained(void *ctx)
{
	struct conn *c = ctx;

	if (c->hearing == STATE_CONNECT)
		expect(c, STATE_GREETING);
	else
		body_go_on(c);
}

void
client_body_written(struct conn *c)
{
	expect(c, STATE_DOT);
}

/* --- from the owner --- */

static const struct stream_ops stream_ops = {
	.on_data = on_data,
	.on_drained = on_drained,
	.on_timeout = on_timeout,
	.on_end = on_end,
};

void
client_connecting(struct conn *c, int fd)
{
	c->stream = stream_new(c->loop, fd, true, &stream_ops, c);
	c->nwaiting = 1; /* the greeting */
	reply_init(&c->reply);
	expect(c, STATE_CONNECT);
}

static bool
is_ascii(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)p[i] > 0x7e)
			return false;
	return true;
}

/* Nothing in an address of ours can end a command. */
static bool
is_clean(const char *p)
{
	for (; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

static void
fail_open(struct conn *c, const char *status, const char *why)
{
	struct verdict v = { 0 };

	verdict_set(&v, status, "%s", why);
	set_relay(c, &v);
	result_tell_all(c->work, TO_OPEN, &v);
}

/* Tells a result to those whom this next hop cannot take. */
static void
screen(struct conn *c)
{
	struct work *w = c->work;
	bool no_utf8 = (c->caps & CAP_SMTPUTF8) == 0;
	struct verdict v = { 0 };

	if (c->size_max > 0 && work_size(w) > c->size_max)
		fail_open(c, "5.3.4", "the mail is too big for the next hop");
	if (!is_clean(w->from))
		fail_open(c, "5.1.7", "malformed sender");
	if (no_utf8 &&
	    (!is_ascii(w->from, strlen(w->from)) ||
	        ((w->flags & ENVELOPE_SMTPUTF8) &&
	            !is_ascii(w->content, w->header_size))))
		fail_open(c, "5.6.7", "the next hop does not offer SMTPUTF8");
	for (uint32_t i = 0; i < w->nrcpts; i++) {
		struct work_rcpt *r = &w->rcpts[i];

		if (r->state != TO_OPEN)
			continue;
		if (!is_clean(r->to))
			verdict_set(&v, "5.1.3", "malformed recipient");
		else if (no_utf8 && !is_ascii(r->to, strlen(r->to)))
			verdict_set(&v, "5.6.7",
			    "the next hop does not offer SMTPUTF8");
		else
			continue;
		set_relay(c, &v);
		result_tell(w, r, &v);
	}
}

int
client_begin(struct conn *c)
{
	screen(c);
	if (c->work->nopen == 0)
		return -1;
	c->nmessages++;
	c->say_at = c->hear_at = 0;
	c->nasked = c->ntaken = 0;
	c->refused = false;
	c->saying = STATE_MAIL;
	say_on(c);
	return 0;
}

void
client_quit(struct conn *c)
{
	idle_del(c);
	c->saying = STATE_QUIT;
	say_on(c);
}
