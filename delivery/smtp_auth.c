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
	LINE_MAX_ = 16 + (PLAIN_MAX + 2) / 3 * 4,
	COMMAND_MAX = 512, /* RFC 5321 4.5.3.1.4, which RFC 4954 4 lets stand */
	ECHO_MIN = 8       /* fewer bytes of base64 tell nothing */
};

/* What is still to say: lines that are whole but for how they begin. */
struct auth {
	struct buf plain, user, password;
	bool is_long; /* plain, for a command: it stands alone */
};

#define PLAIN "AUTH PLAIN "

void
auth_end(struct conn *c)
{
	from_vault_cancel(&c->credentials);
	if (c->auth == NULL)
		return;
	buf_clear(&c->auth->plain);
	buf_clear(&c->auth->user);
	buf_clear(&c->auth->password);
	free(c->auth);
	c->auth = NULL;
}

/* Cuts text where secret's line, or the beginning of it, is repeated. */
static void
hide(struct reply *r, const struct buf *line, struct str word)
{
	struct str secret = str_trim(str_skip(buf_str(line), word.len));
	char *at;

	if (secret.len == 0)
		return;
	at = memmem(r->text, r->text_len, secret.p,
	    secret.len < ECHO_MIN ? secret.len : ECHO_MIN);
	if (at == NULL)
		return;
	*at = '\0';
	r->text_len = (size_t)(at - r->text);
}

void
auth_hide(struct conn *c)
{
	if (c->auth == NULL)
		return;
	hide(&c->reply, &c->auth->plain,
	    c->auth->is_long ? STR("") : STR(PLAIN));
	hide(&c->reply, &c->auth->user, STR(""));
	hide(&c->reply, &c->auth->password, STR(""));
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

/* One line: word, then secret as base64. */
static void
make_line(struct buf *out, struct str word, struct str secret)
{
	buf_init(out, LINE_MAX_);
	out->secret = true;
	buf_add_str(out, word);
	base64_encode(secret, out);
	buf_add_str(out, STR("\r\n"));
}

static void
make_plain(struct auth *a, struct str user, struct str password)
{
	struct buf raw;

	buf_init(&raw, PLAIN_MAX);
	raw.secret = true;
	buf_add_char(&raw, '\0');
	buf_add_str(&raw, user);
	buf_add_char(&raw, '\0');
	buf_add_str(&raw, password);
	make_line(&a->plain, STR(PLAIN), buf_str(&raw));
	a->is_long = a->plain.len > COMMAND_MAX;
	if (a->is_long) {
		buf_clear(&a->plain);
		make_line(&a->plain, STR(""), buf_str(&raw));
	}
	buf_clear(&raw);
}

static void
on_credentials(void *ctx, bool found, struct str user, struct str password)
{
	struct conn *c = ctx;

	if (!found) {
		fail(c, "4.3.5", "no credentials are known for this next hop",
		    "");
		return;
	}
	c->auth = xcalloc(1, sizeof(*c->auth));
	if ((c->caps & CAP_AUTH_PLAIN) != 0) {
		make_plain(c->auth, user, password);
		client_say(
		    c, c->auth->is_long ? STATE_AUTH_ALONE : STATE_AUTH_PLAIN);
	} else {
		make_line(&c->auth->user, STR(""), user);
		make_line(&c->auth->password, STR(""), password);
		client_say(c, STATE_AUTH_LOGIN);
	}
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
say_auth_alone(struct conn *c)
{
	stream_write(c->stream, "AUTH PLAIN\r\n", 12);
}

void
say_auth_plain(struct conn *c)
{
	stream_write_secret(c->stream, buf_str(&c->auth->plain));
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
}

/* Behind a 3xx there is more to say: the table knows. */
void
heard_auth(struct conn *c, enum client_heard what)
{
	if (what != HEARD_OK) {
		fail(c, what == HEARD_TEMP ? "4.7.0" : "4.7.8",
		    "the next hop refuses our credentials: ", c->reply.text);
	} else if (c->reply.code / 100 == 2) {
		auth_end(c);
		c->has_auth = true;
	}
}
