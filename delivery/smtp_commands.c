/*
 * What the client says, what the answers mean for the work, and what a next
 * hop can take.
 */
#include <stdio.h>
#include <string.h>

#include "delivery/smtp_client.h"
#include "lib/base/log.h"
#include "lib/mail/envelope.h"
#include "lib/mail/xtext.h"

enum {
	COMMAND_MAX = ENVELOPE_ADDRESS_MAX + 192,
	/* Of a parameter in a command (RFC 3461 4). */
	ENVID_TEXT_MAX = 100,
	ORCPT_TEXT_MAX = 500,
	PARAMS_MAX = 1024
};

/* --- what is said --- */

static void
command(struct conn *c, const char *text, int len)
{
	if (len > 0 && len < COMMAND_MAX)
		stream_write(c->stream, text, (size_t)len);
}

static bool
is_ascii(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)p[i] > 0x7e)
			return false;
	return true;
}

static bool
uses_vrfy(const struct conn *c)
{
	return c->work->vrfy && !c->no_vrfy;
}

/* With VRFY those it was asked about. */
static bool
is_next(const struct conn *c, const struct work_rcpt *r)
{
	return r->state == TO_OPEN && (r->vrfied || !uses_vrfy(c));
}

struct work_rcpt *
client_next_rcpt(struct conn *c)
{
	struct work *w = c->work;

	if (c->nasked >= c->numbers.recipients)
		return NULL;
	while (c->say_at < w->nrcpts && !is_next(c, &w->rcpts[c->say_at]))
		c->say_at++;
	return c->say_at < w->nrcpts ? &w->rcpts[c->say_at] : NULL;
}

void
say_ehlo(struct conn *c)
{
	char text[COMMAND_MAX];

	command(c, text, snprintf(text, sizeof(text), "EHLO %s\r\n", c->helo));
}

void
say_helo(struct conn *c)
{
	char text[COMMAND_MAX];

	c->caps = 0;
	command(c, text, snprintf(text, sizeof(text), "HELO %s\r\n", c->helo));
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
		(c->caps & CAP_SMTPUTF8) && !is_ascii(r->to, strlen(r->to)) ?
		    " SMTPUTF8" :
		    ""));
}

/* --- MAIL and RCPT --- */

/* The parameters that a word of EHLO and a flag of the mail bring. */
static const struct {
	uint32_t cap, flag;
	const char *text;
} flag_params[] = {
	{ CAP_8BITMIME, ENVELOPE_8BIT, " BODY=8BITMIME" },
	{ CAP_SMTPUTF8, ENVELOPE_SMTPUTF8, " SMTPUTF8" },
	{ CAP_REQUIRETLS, ENVELOPE_REQUIRETLS, " REQUIRETLS" },
	{ CAP_DSN, ENVELOPE_RET_FULL, " RET=FULL" },
	{ CAP_DSN, ENVELOPE_RET_HDRS, " RET=HDRS" },
};

/* keyword and the text that add makes; nothing when that is longer than what
 * others take. */
static void
add_param(struct buf *out, const char *keyword, struct str value, size_t max,
    void (*add)(struct buf *, struct str))
{
	struct buf text;

	buf_init(&text, max);
	add(&text, value);
	if (!text.failed && text.len > 0)
		buf_addf(out, " %s=%.*s", keyword, (int)text.len, text.p);
	buf_clear(&text);
}

void
say_mail(struct conn *c)
{
	char relay[PLACE_TEXT_MAX];
	const struct work *w = c->work;
	struct buf text;

	buf_init(&text, COMMAND_MAX + PARAMS_MAX);
	buf_addf(&text, "MAIL FROM:<%s>", w->from);
	if (c->caps & CAP_SIZE)
		buf_addf(&text, " SIZE=%llu", (unsigned long long)work_size(w));
	for (size_t i = 0; i < sizeof(flag_params) / sizeof(flag_params[0]);
	     i++)
		if ((w->flags & flag_params[i].flag) != 0 &&
		    (c->caps & flag_params[i].cap) != 0)
			buf_add_str(&text, str_of(flag_params[i].text));
	if (c->caps & CAP_DSN)
		add_param(&text, "ENVID", str_of(w->envid), ENVID_TEXT_MAX,
		    xtext_add);
	buf_add_str(&text, STR("\r\n"));
	if ((w->flags & ENVELOPE_8BIT) && !(c->caps & CAP_8BITMIME))
		log_info(NULL, "8bit", "msg=%s relay=%s why=%s", w->msgid,
		    log_cstr(conn_format(c, relay)),
		    log_cstr("no 8BITMIME there, sent as it is"));
	stream_write(c->stream, text.p, text.len);
	buf_clear(&text);
}

/* In transactions with SMTPUTF8 an ORCPT may be beyond ASCII (RFC 6533 3). */
static void
add_orcpt(struct buf *out, struct str orcpt)
{
	orcpt_add(out, orcpt, false);
}

static void
add_orcpt_ascii(struct buf *out, struct str orcpt)
{
	orcpt_add(out, orcpt, true);
}

/* As NOTIFY has it; "" for NOTIFY_DEFAULT. */
static void
add_notify(struct buf *out, unsigned int notify)
{
	static const struct {
		unsigned int bit;
		const char *word;
	} words[] = { { NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" } };

	const char *before = " NOTIFY=";

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if ((notify & words[i].bit) == 0)
			continue;
		buf_addf(out, "%s%s", before, words[i].word);
		before = ",";
	}
}

void
say_rcpt(struct conn *c)
{
	struct work_rcpt *r = client_next_rcpt(c);
	struct buf text;
	bool utf8;

	if (r == NULL)
		return;
	r->in_tx = true;
	c->nasked++;
	work_set_state(c->work, r, TO_ASKED);
	buf_init(&text, COMMAND_MAX + PARAMS_MAX);
	buf_addf(&text, "RCPT TO:<%s>", r->to);
	if (c->caps & CAP_DSN) {
		utf8 = (c->caps & CAP_SMTPUTF8) != 0 &&
		       (c->work->flags & ENVELOPE_SMTPUTF8) != 0;
		add_notify(&text, r->notify);
		if (r->orcpt[0] != '\0')
			add_param(&text, "ORCPT", str_of(r->orcpt),
			    ORCPT_TEXT_MAX, utf8 ? add_orcpt : add_orcpt_ascii);
	}
	buf_add_str(&text, STR("\r\n"));
	stream_write(c->stream, text.p, text.len);
	buf_clear(&text);
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

/* A server that has seen enough of the mail says no and hangs up. */
void
heard_early(struct conn *c, enum client_heard what)
{
	struct verdict v;

	(void)what;
	verdict_now(c, &v);
	result_tell_all(c->work, TO_TAKEN, &v);
	client_lost(c, &v, LOST_LINE);
}

void
heard_dot(struct conn *c, enum client_heard what)
{
	struct verdict v;

	(void)what;
	verdict_now(c, &v);
	if (c->caps & CAP_DSN)
		v.handover = HANDOVER_DSN;
	result_tell_all(c->work, TO_TAKEN, &v);
}

/* --- what a next hop offers --- */

static const struct {
	struct str word;
	uint32_t cap;
} keywords[] = {
	{ { "PIPELINING", 10 }, CAP_PIPELINING },
	{ { "SIZE", 4 }, CAP_SIZE },
	{ { "8BITMIME", 8 }, CAP_8BITMIME },
	{ { "SMTPUTF8", 8 }, CAP_SMTPUTF8 },
	{ { "DSN", 3 }, CAP_DSN },
	{ { "REQUIRETLS", 10 }, CAP_REQUIRETLS },
};

/* One line of the answer to EHLO, without its code; the first is a name. */
void
client_learn(struct conn *c, struct str line)
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
	client_set_relay(c, &v);
	result_tell_all(c->work, TO_OPEN, &v);
}

/* Does all that RFC 8689 4.2.1 asks of a next hop hold: is it the one that was
 * meant, is the connection secured, does it promise to go on so? Connections
 * of ours are in the clear. */
static bool
keeps_tls(const struct conn *c)
{
	return (c->caps & CAP_REQUIRETLS) != 0 && stream_tls(c->stream) != NULL;
}

/* Tells a result to those whom this next hop cannot take. */
void
client_screen(struct conn *c)
{
	struct work *w = c->work;
	bool no_utf8 = (c->caps & CAP_SMTPUTF8) == 0;
	struct verdict v = { 0 };

	if (c->size_max > 0 && work_size(w) > c->size_max)
		fail_open(c, "5.3.4", "the mail is too big for the next hop");
	if (!is_clean(w->from))
		fail_open(c, "5.1.7", "malformed sender");
	if (no_utf8 && (!is_ascii(w->from, strlen(w->from)) ||
			   ((w->flags & ENVELOPE_SMTPUTF8) &&
			       !is_ascii(w->content, w->header_size))))
		fail_open(c, "5.6.7", "the next hop does not offer SMTPUTF8");
	if ((w->flags & ENVELOPE_REQUIRETLS) && !keeps_tls(c))
		fail_open(c, "5.7.30", "REQUIRETLS support required");
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
		client_set_relay(c, &v);
		result_tell(w, r, &v);
	}
}
