/* What a next hop offers, and what of a work it can take. */
#include <string.h>

#include "delivery/smtp_client.h"
#include "lib/mail/envelope.h"

void
client_forget(struct conn *c)
{
	c->caps = 0;
	c->size_max = 0;
	c->limits = (struct conn_limits){ 0 };
	c->no_vrfy = false;
}

/* --- the answer to EHLO --- */

static void
learn_size(struct conn *c, struct str rest)
{
	uint64_t n;

	if (str_to_u64(str_trim(rest), UINT64_MAX, &n) == 0)
		c->size_max = n;
}

static void
learn_auth(struct conn *c, struct str rest)
{
	while (rest.len > 0) {
		struct str word = str_cut(&rest, ' ');

		if (str_eq_nocase(word, STR("PLAIN")))
			c->caps |= CAP_AUTH_PLAIN;
		else if (str_eq_nocase(word, STR("LOGIN")))
			c->caps |= CAP_AUTH_LOGIN;
	}
}

enum { LIMIT_MAX = 999999 }; /* RFC 9422 2 */

/* What is no number there is none (RFC 9422 3). */
static void
learn_limits(struct conn *c, struct str rest)
{
	const struct {
		struct str name;
		uint32_t *at;
	} limits[] = {
		{ STR("MAILMAX"), &c->limits.mails },
		{ STR("RCPTMAX"), &c->limits.rcpts },
		{ STR("RCPTDOMAINMAX"), &c->limits.domains },
	};

	while (rest.len > 0) {
		struct str value = str_cut(&rest, ' '),
			   name = str_cut(&value, '=');
		uint64_t n;

		if (str_to_u64(value, LIMIT_MAX, &n) == -1)
			continue;
		for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
			if (str_eq_nocase(name, limits[i].name))
				*limits[i].at = (uint32_t)n;
	}
}

static const struct {
	struct str word;
	uint32_t cap;
	void (*learn)(struct conn *c, struct str rest); /* or NULL */
} keywords[] = {
	{ { "PIPELINING", 10 }, CAP_PIPELINING, NULL },
	{ { "SIZE", 4 }, CAP_SIZE, learn_size },
	{ { "8BITMIME", 8 }, CAP_8BITMIME, NULL },
	{ { "SMTPUTF8", 8 }, CAP_SMTPUTF8, NULL },
	{ { "DSN", 3 }, CAP_DSN, NULL },
	{ { "REQUIRETLS", 10 }, CAP_REQUIRETLS, NULL },
	{ { "STARTTLS", 8 }, CAP_STARTTLS, NULL },
	{ { "CHUNKING", 8 }, CAP_CHUNKING, NULL },
	{ { "AUTH", 4 }, 0, learn_auth },
	{ { "LIMITS", 6 }, 0, learn_limits },
};

void
client_learn(struct conn *c, struct str line)
{
	struct str word = str_cut(&line, ' ');

	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (!str_eq_nocase(word, keywords[i].word))
			continue;
		c->caps |= keywords[i].cap;
		if (keywords[i].learn != NULL)
			keywords[i].learn(c, line);
		return;
	}
}

/* --- limits --- */

bool
client_is_used_up(const struct conn *c)
{
	return c->nmessages >= c->numbers.messages_per_connection ||
	       (c->limits.mails > 0 && c->nmessages >= c->limits.mails);
}

uint64_t
client_rcpt_max(const struct conn *c)
{
	uint64_t ours = c->numbers.recipients, theirs = c->limits.rcpts;

	return theirs > 0 && theirs < ours ? theirs : ours;
}

/* --- the content --- */

/* Who takes SMTPUTF8 takes 8 bits, said or not (RFC 6531 3.1). */
static bool
takes_8bit(const struct conn *c)
{
	return (c->caps & (CAP_8BITMIME | CAP_SMTPUTF8)) != 0;
}

/* In one chunk that is said behind MAIL and RCPT a mail saves the round trip
 * of DATA. */
void
client_choose_body(struct conn *c)
{
	const uint32_t both = CAP_PIPELINING | CAP_CHUNKING;

	c->to_7bit = (c->work->flags & ENVELOPE_8BIT) != 0 && !takes_8bit(c);
	c->by_bdat = (c->caps & both) == both && !c->to_7bit &&
		     !hop_is_plain(c->hop, loop_now_ms(c->loop)) &&
		     body_fits_chunk(c->work);
	c->chunk_said = false;
}

/* --- whom it cannot take --- */

/* Nothing in an address of ours can end a command. */
static bool
is_clean(const char *p)
{
	for (; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

static bool
is_ascii(const char *text)
{
	return client_is_ascii(text, strlen(text));
}

static void
fail_open(struct conn *c, const char *status, const char *why)
{
	struct verdict v = { 0 };

	verdict_set(&v, status, "%s", why);
	client_set_relay(c, &v);
	result_tell_all(c->work, TO_OPEN, &v);
}

static void
screen_rcpts(struct conn *c)
{
	struct work *w = c->work;
	bool no_utf8 = (c->caps & CAP_SMTPUTF8) == 0;
	struct verdict v = { 0 };

	for (uint32_t i = 0; i < w->nrcpts; i++) {
		struct work_rcpt *r = &w->rcpts[i];

		if (r->state != TO_OPEN)
			continue;
		if (!is_clean(r->to))
			verdict_set(&v, "5.1.3", "malformed recipient");
		else if (no_utf8 && !is_ascii(r->to))
			verdict_set(&v, "5.6.7",
			    "the next hop does not offer SMTPUTF8");
		else
			continue;
		client_set_relay(c, &v);
		result_tell(w, r, &v);
	}
}

void
client_screen(struct conn *c)
{
	struct work *w = c->work;

	if (c->size_max > 0 && work_size(w) > c->size_max)
		fail_open(c, "5.3.4", "the mail is too big for the next hop");
	if (!is_clean(w->from))
		fail_open(c, "5.1.7", "malformed sender");
	if ((c->caps & CAP_SMTPUTF8) == 0 &&
	    (!is_ascii(w->from) ||
		((w->flags & ENVELOPE_SMTPUTF8) &&
		    !client_is_ascii(w->content, w->header_size))))
		fail_open(c, "5.6.7", "the next hop does not offer SMTPUTF8");
	/* By its policy the connection is that already. */
	if ((w->flags & ENVELOPE_REQUIRETLS) && !client_keeps_tls(c))
		fail_open(c, "5.7.30", "REQUIRETLS support required");
	screen_rcpts(c);
}
