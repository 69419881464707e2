/* MAIL and RCPT with what a next hop understands of the mail's wishes. */
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

bool
client_is_ascii(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)p[i] > 0x7e)
			return false;
	return true;
}

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

static void
note_7bit(const struct conn *c)
{
	char relay[PLACE_TEXT_MAX];

	log_info(NULL, "8bit", "msg=%s relay=%s why=%s", c->work->msgid,
	    log_cstr(conn_format(c, relay)),
	    log_cstr("no 8BITMIME there, made quoted-printable"));
}

void
say_mail(struct conn *c)
{
	const struct work *w = c->work;
	struct buf text;

	buf_init(&text, COMMAND_MAX + PARAMS_MAX);
	buf_addf(&text, "MAIL FROM:<%s>", w->from);
	/* How long it gets by that nobody knows yet. */
	if ((c->caps & CAP_SIZE) && !c->to_7bit)
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
	if (c->to_7bit)
		note_7bit(c);
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

static void
add_rcpt_params(
    const struct conn *c, const struct work_rcpt *r, struct buf *out)
{
	bool utf8 = (c->caps & CAP_SMTPUTF8) != 0 &&
		    (c->work->flags & ENVELOPE_SMTPUTF8) != 0;

	add_notify(out, r->notify);
	if (r->orcpt[0] != '\0')
		add_param(out, "ORCPT", str_of(r->orcpt), ORCPT_TEXT_MAX,
		    utf8 ? add_orcpt : add_orcpt_ascii);
}

const char *
client_domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at == NULL ? "" : at + 1;
}

void
say_rcpt(struct conn *c)
{
	struct work_rcpt *r = client_next_rcpt(c);
	struct buf text;

	if (r == NULL)
		return;
	r->in_tx = true;
	if (c->nasked++ == 0)
		c->tx_domain = client_domain_of(r->to);
	work_set_state(c->work, r, TO_ASKED);
	buf_init(&text, COMMAND_MAX + PARAMS_MAX);
	buf_addf(&text, "RCPT TO:<%s>", r->to);
	if (c->caps & CAP_DSN)
		add_rcpt_params(c, r, &text);
	buf_add_str(&text, STR("\r\n"));
	stream_write(c->stream, text.p, text.len);
	buf_clear(&text);
}
