/*
 * From the greeting to the first mail: TLS as the policy demands it, then
 * AUTH. What cannot be had as it is demanded ends the connection; nothing
 * ever goes on with less than that.
 */
#include <sys/socket.h>

#include "delivery/secure.h"
#include "delivery/smtp_client.h"
#include "delivery/tls_tally.h"
#include "lib/base/log.h"

static enum secure_level
level_of(const struct conn *c)
{
	return c->in_clear ? SECURE_NEVER : c->policy->level;
}

static bool
is_secured(const struct conn *c)
{
	return stream_tls(c->stream) != NULL;
}

/* The connection will not be what the policy wants. */
static void
insecure(struct conn *c, const char *status, const char *what, const char *why)
{
	struct verdict v = { 0 };

	verdict_set(&v, status, "%s%s", what, why);
	client_lost(c, &v, LOST_TLS);
}

enum client_state
client_hello(const struct conn *c)
{
	return c->policy->lmtp ? STATE_LHLO : STATE_EHLO;
}

bool
client_keeps_tls(const struct conn *c)
{
	return is_secured(c) && c->proven != TLS_PROOF_NONE &&
	       (c->caps & CAP_REQUIRETLS) != 0;
}

/* There is no STARTTLS. */
static enum client_state
without_tls(struct conn *c)
{
	tls_tally_add(c, TLS_RESULT_NO_STARTTLS, "");
	if (level_of(c) == SECURE_MAY)
		c->in_clear = true;
	else
		insecure(
		    c, "4.7.4", "the next hop does not offer STARTTLS", "");
	return c->stream == NULL ? STATE_NONE : client_next_step(c);
}

enum client_state
client_next_step(struct conn *c)
{
	const struct policy *p = c->policy;

	if (!is_secured(c) && level_of(c) > SECURE_NEVER)
		return c->caps & CAP_STARTTLS ? STATE_STARTTLS : without_tls(c);
	if (p->require_tls && !client_keeps_tls(c)) {
		insecure(
		    c, "4.7.4", "the next hop does not offer REQUIRETLS", "");
		return STATE_NONE;
	}
	if (p->auth_table != NULL && !c->has_auth)
		return STATE_CREDENTIALS;
	return STATE_READY;
}

/* --- STARTTLS and the handshake --- */

void
say_starttls(struct conn *c)
{
	stream_write(c->stream, "STARTTLS\r\n", 10);
}

void
heard_starttls(struct conn *c, enum client_heard what)
{
	if (what == HEARD_OK)
		return;
	tls_tally_add(c, TLS_RESULT_NO_STARTTLS, "");
	if (level_of(c) == SECURE_MAY)
		c->in_clear = true;
	else
		insecure(c, "4.7.4",
		    "the next hop refuses STARTTLS: ", c->reply.text);
}

/* Whoever it is that talks there, no word of his is believed, nor is it tried
 * in the clear now. */
void
client_injected(struct conn *c)
{
	char relay[PLACE_TEXT_MAX];
	struct verdict v = { 0 };

	log_warn(NULL, "starttls-injection", "relay=%s",
	    log_cstr(conn_format(c, relay)));
	tls_tally_add(c, TLS_RESULT_VALIDATION, "starttls-injection");
	verdict_set(&v, "4.7.5",
	    "something came between the answer to STARTTLS and TLS");
	client_lost(c, &v, LOST_HOP);
}

/* A server has nothing to say before we have. */
void
begin_tls(struct conn *c)
{
	struct fault why;
	char byte;

	if (!c->policy->at_once &&
	    recv(stream_fd(c->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		client_injected(c);
	else if (secure_start(c, &why) == -1)
		client_secured(c, &why);
}

void
client_secured(void *ctx, const struct fault *why)
{
	struct conn *c = ctx;

	tls_tally_add(c, secure_ended(c, why), why == NULL ? "" : why->text);
	if (why != NULL)
		insecure(c, "4.7.5", "TLS: ", why->text);
	else if (c->policy->at_once)
		client_await_greeting(c);
	else
		client_say(c, client_hello(c));
}

void
client_unshaken(struct conn *c)
{
	tls_tally_add(c, TLS_RESULT_VALIDATION, "timeout");
	insecure(c, "4.7.5", "timed out in the TLS handshake", "");
}
