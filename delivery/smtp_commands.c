/* What the client says, and what the answers mean for the work. */
#include <stdio.h>
#include <string.h>

#include "delivery/smtp_client.h"
#include "lib/mail/envelope.h"

enum { COMMAND_MAX = ENVELOPE_ADDRESS_MAX + 192 };

/* --- what is said --- */

static void
command(struct conn *c, const char *text, int len)
{
	if (len > 0 && len < COMMAND_MAX)
		stream_write(c->stream, text, (size_t)len);
}

static bool
uses_vrfy(const struct conn *c)
{
	return c->work->vrfy && !c->no_vrfy;
}

/* Where there is a limit of domains (RFC 9422) a transaction has one. */
static bool
shares_domain(const struct conn *c, const struct work_rcpt *r)
{
	return c->limits.domains == 0 || c->nasked == 0 ||
	       str_eq_nocase(
		   str_of(c->tx_domain), str_of(client_domain_of(r->to)));
}

/* With VRFY those it was asked about. */
static bool
is_next(const struct conn *c, const struct work_rcpt *r)
{
	return r->state == TO_OPEN && (r->vrfied || !uses_vrfy(c)) &&
	       shares_domain(c, r);
}

struct work_rcpt *
client_next_rcpt(struct conn *c)
{
	struct work *w = c->work;

	if (c->nasked >= client_rcpt_max(c))
		return NULL;
	while (c->say_at < w->nrcpts && !is_next(c, &w->rcpts[c->say_at]))
		c->say_at++;
	return c->say_at < w->nrcpts ? &w->rcpts[c->say_at] : NULL;
}

/* All that was said before, perhaps by somebody else, is forgotten. */
static void
say_hello(struct conn *c, const char *verb)
{
	char text[COMMAND_MAX];

	client_forget(c);
	command(c, text,
	    snprintf(text, sizeof(text), "%s %s\r\n", verb, c->policy->helo));
}

void
say_ehlo(struct conn *c)
{
	say_hello(c, "EHLO");
}

void
say_lhlo(struct conn *c)
{
	say_hello(c, "LHLO");
}

void
say_helo(struct conn *c)
{
	say_hello(c, "HELO");
}

/* The next one to ask about; NULL: no more. */
static struct work_rcpt *
next_vrfy(struct conn *c)
{
	struct work *w = c->work;

	if (!uses_vrfy(c) || c->nasked >= c->numbers.recipients)
		return NULL;
	while (c->say_at < w->nrcpts && (w->rcpts[c->say_at].state != TO_OPEN ||
					    w->rcpts[c->say_at].vrfied))
		c->say_at++;
	return c->say_at < w->nrcpts ? &w->rcpts[c->say_at] : NULL;
}

enum client_state
client_next_command(struct conn *c)
{
	if (next_vrfy(c) != NULL)
		return STATE_VRFY;
	c->say_at = c->nasked = 0;
	return client_next_rcpt(c) != NULL ? STATE_MAIL : STATE_READY;
}

/* RFC 5321 3.5, 6531 3.7.4.2. */
void
say_vrfy(struct conn *c)
{
	char text[COMMAND_MAX];
	struct work_rcpt *r = next_vrfy(c);

	if (r == NULL)
		return;
	r->vrfied = true;
	c->nasked++;
	command(c, text,
	    snprintf(text, sizeof(text), "VRFY %s%s\r\n", r->to,
		(c->caps & CAP_SMTPUTF8) &&
			!client_is_ascii(r->to, strlen(r->to)) ?
		    " SMTPUTF8" :
		    ""));
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
	client_set_relay(c, v);
}

/* A plain no to the one asked about is its result; all else is RCPT's to
 * say, and a no for reasons of policy (x.7) too: it may be about VRFY. A
 * server without the verb is not asked again. */
void
heard_vrfy(struct conn *c, enum client_heard what)
{
	uint16_t code = c->reply.code;
	struct verdict v;

	if (what != HEARD_PERM)
		return;
	if (code >= 500 && code <= 504) {
		c->no_vrfy = true;
	} else if ((code == 550 || code == 551) &&
		   c->reply.status.subject != 7) {
		verdict_now(c, &v);
		result_tell(c->work, &c->work->rcpts[c->say_at], &v);
	}
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
		client_breach(c, "354 without a recipient");
		return;
	}
	if (what == HEARD_OK)
		return;
	verdict_now(c, &v);
	result_tell_all(c->work, TO_TAKEN, &v);
}

/* A server that has seen enough of the mail says no and hangs up. By LMTP
 * nobody knows to whom: later, then. */
void
heard_early(struct conn *c, enum client_heard what)
{
	struct verdict v;

	(void)what;
	verdict_now(c, &v);
	if (!c->policy->lmtp)
		result_tell_all(c->work, TO_TAKEN, &v);
	v.outcome = OUTCOME_DEFERRED;
	v.status.class = 4;
	client_lost(c, &v, LOST_LINE);
}

/* LMTP answers for each that was taken, in their order (RFC 2033 4.2). */
static void
tell_next_taken(struct work *w, const struct verdict *v)
{
	for (uint32_t i = 0; i < w->nrcpts; i++) {
		if (w->rcpts[i].state != TO_TAKEN)
			continue;
		result_tell(w, &w->rcpts[i], v);
		return;
	}
}

void
heard_dot(struct conn *c, enum client_heard what)
{
	struct verdict v;

	(void)what;
	verdict_now(c, &v);
	if (c->caps & CAP_DSN)
		v.handover = HANDOVER_DSN;
	else if (c->policy->lmtp)
		v.handover = HANDOVER_FINAL;
	if (c->policy->lmtp)
		tell_next_taken(c->work, &v);
	else
		result_tell_all(c->work, TO_TAKEN, &v);
}

/* A server that does not know the command has read the mail for commands:
 * nothing it says is about the mail, and it gets no chunk for a while. */
static bool
is_no_bdat(const struct conn *c)
{
	uint16_t code = c->reply.code;

	/* with nobody to get it 503 is right */
	return code >= 500 && code <= 504 && (code != 503 || c->ntaken > 0);
}

void
heard_bdat(struct conn *c, enum client_heard what)
{
	if (is_no_bdat(c)) {
		hop_set_plain(c->hop, loop_now_ms(c->loop));
		work_reopen(c->work); /* none of them has it */
		client_breach(c, "it offers CHUNKING and knows no BDAT");
	} else if (c->ntaken > 0) {
		heard_dot(c, what);
	} else if (what == HEARD_OK) {
		client_breach(c, "a mail taken without a recipient");
	}
}
