/*
 * AUTH to a next hop that knows us (RFC 4954), PLAIN or else LOGIN.
 *
 * The credentials come from the vault for this one attempt and are wiped
 * behind it. They are said by TLS only, or to this very machine. That they
 * are wrong is our own fault: the mail waits, and the log is loud.
 */
#include "delivery/from_vault.h"

#include <stdlib.h>
#include <string.h>

#include "delivery/smtp_client.h"
#include "edges/vault_limits.h"
#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/mail/base64.h"

enum {
	/* user and password with a NUL before each */
	PLAIN_MAX = 255 + VAULT_SECRET_MAX + 2,
	LINE_MAX_ = 16 + (PLAIN_MAX + 2) / 3 * 4
};

/* What is still to say: lines that are whole but for how they begin. */
struct auth {
	struct buf plain, user, password;
};

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_clear(b);
}

void
auth_end(struct conn *c)
{
	from_vault_cancel(&c->credentials);
	if (c->auth == NULL)
		return;
	wipe(&c->auth->plain);
	wipe(&c->auth->user);
	wipe(&c->auth->password);
	free(c->auth);
	c->auth = NULL;
}

/* All other next hops get their chance, but not this one in the clear. */
static void
fail(struct conn *c, const char *status, const char *what, const char *why)
{
	char relay[PLACE_TEXT_MAX];
	struct verdict v = { 0 };

	verdict_set(&v, status, "%s%s", what, why);
	log_warn(NULL, "auth-failed", "relay=%s table=%s label=%s why=%s",
	    log_cstr(conn_format(c, relay)), log_cstr(c->policy->auth_table),
	    log_cstr(c->policy->auth_label), log_cstr(v.text));
	client_lost(c, &v, LOST_LINE);
}

/* One line: word, then secret as base64. Its place is taken beforehand, so
 * that no copy is left behind by growing. */
static void
make_line(struct buf *out, struct str word, struct str secret)
{
	buf_init(out, LINE_MAX_);
	(void)buf_reserve(out, LINE_MAX_);
	buf_add_str(out, word);
	base64_encode(secret, out);
	buf_add_str(out, STR("\r\n"));
}

static void
make_plain(struct buf *out, struct str user, struct str password)
{
	struct buf raw;

	buf_init(&raw, PLAIN_MAX);
	(void)buf_reserve(&raw, PLAIN_MAX);
	buf_add_char(&raw, '\0');
	buf_add_str(&raw, user);
	buf_add_char(&raw, '\0');
	buf_add_str(&raw, password);
	make_line(out, STR("AUTH PLAIN "), buf_str(&raw));
	wipe(&raw);
}

static void
on_credentials(void *ctx, bool found, struct str user, struct str password)
{
	struct conn *c = ctx;
	bool plain = (c->caps & CAP_AUTH_PLAIN) != 0;

	if (!found) {
		fail(c, "4.3.5", "no credentials are known for this next hop",
		    "");
		return;
	}
	c->auth = xcalloc(1, sizeof(*c->auth));
	if (plain) {
		make_plain(&c->auth->plain, user, password);
	} else {
		make_line(&c->auth->user, STR(""), user);
		make_line(&c->auth->password, STR(""), password);
	}
	client_say(c, plain ? STATE_AUTH_PLAIN : STATE_AUTH_LOGIN);
}

static bool
may_be_said(const struct conn *c)
{
	const struct addr *a = &c->hop->at.addr;

	return stream_tls(c->stream) != NULL || a->family == ADDR_LOCAL ||
	       addr_is_loopback(a);
}

void
ask_credentials(struct conn *c)
{
	if (!may_be_said(c)) {
		fail(
		    c, "4.7.11", "credentials are never said in the clear", "");
		return;
	}
	if ((c->caps & (CAP_AUTH_PLAIN | CAP_AUTH_LOGIN)) == 0) {
		fail(c, "4.7.4",
		    "the next hop offers neither AUTH PLAIN nor AUTH LOGIN",
		    "");
		return;
	}
	c->credentials.fn = on_credentials;
	c->credentials.ctx = c;
	from_vault_ask_credentials(
	    c->policy->auth_table, c->policy->auth_label, &c->credentials);
}

void
say_auth_plain(struct conn *c)
{
	stream_write_secret(c->stream, buf_str(&c->auth->plain));
	auth_end(c);
}

void
say_auth_login(struct conn *c)
{
	stream_write(c->stream, "AUTH LOGIN\r\n", 12);
}

void
say_auth_user(struct conn *c)
{
	stream_write_secret(c->stream, buf_str(&c->auth->user));
}

void
say_auth_password(struct conn *c)
{
	stream_write_secret(c->stream, buf_str(&c->auth->password));
	auth_end(c);
}

/* Of 3xx there may be more to say: the table knows. */
void
heard_auth(struct conn *c, enum client_heard what)
{
	if (what != HEARD_OK)
		fail(c, what == HEARD_TEMP ? "4.7.0" : "4.7.8",
		    "the next hop refuses our credentials: ", c->reply.text);
	else if (c->auth == NULL)
		c->has_auth = true;
}
