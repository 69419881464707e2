/*
 * TLS of the connections to next hops. What all of them share (authorities,
 * kept sessions) is made anew with each set of authorities; connections that
 * began before keep theirs, and take nothing up by it.
 */
#include "delivery/secure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/net/tls.h"

enum { AUTHORITIES_MAX = 16 << 20, READ_SIZE = 65536 };

static struct tls_client *client;

static enum tls_proof
proof_of(const struct policy *p)
{
	switch (p->level) {
	case SECURE_NEVER:
	case SECURE_MAY:
	case SECURE_MUST:
		break;
	case SECURE_VERIFIED:
		return TLS_PROOF_NAME;
	case SECURE_DANE:
		return TLS_PROOF_DANE;
	}
	return TLS_PROOF_NONE;
}

/* --- authorities --- */

/* The offset is shared with whoever else was handed the file. */
static int
read_file(int fd, struct buf *out, struct fault *why)
{
	for (;;) {
		char *room = buf_reserve(out, READ_SIZE);
		ssize_t n;

		if (room == NULL)
			return fault_set(why, FAULT_PERM, "file too large");
		n = pread(fd, room, READ_SIZE, (off_t)out->len);
		if (n == 0)
			return 0;
		if (n > 0)
			buf_commit(out, (size_t)n);
		else if (errno != EINTR)
			return fault_errno(why, FAULT_OURS, "read");
	}
}

static struct tls_client *
make_client(struct str authorities, struct fault *why)
{
	size_t nbad = 0;
	struct tls_client *c = tls_client_new(authorities, &nbad, why);

	if (nbad > 0)
		log_warn(NULL, "authorities", "unreadable=%zu", nbad);
	return c;
}

void
secure_init(void)
{
	struct fault why;

	tls_prepare();
	client = make_client(STR(""), &why);
	if (client == NULL)
		fatal("%s", why.text);
}

void
secure_set_authorities(int fd)
{
	struct tls_client *next = NULL;
	struct fault why;
	struct buf b;

	buf_init(&b, AUTHORITIES_MAX);
	if (read_file(fd, &b, &why) == 0)
		next = tls_client_trusts(client, buf_str(&b)) ?
			   tls_client_ref(client) :
			   make_client(buf_str(&b), &why);
	buf_clear(&b);
	close(fd);
	if (next == NULL) {
		log_warn(NULL, "authorities", "why=%s", log_cstr(why.text));
		return;
	}
	tls_client_unref(&client);
	client = next;
}

bool
secure_is_current(const struct conn *c)
{
	const struct tls *t = stream_tls(c->stream);

	return proof_of(c->policy) != TLS_PROOF_NAME ||
	       (t != NULL && tls_is_of(t, client));
}

/* --- the handshake --- */

int
secure_start(struct conn *c, struct fault *why)
{
	const struct policy *p = c->policy;
	const struct hop_addr *at = &c->hop->at;
	char text[HOP_TEXT_MAX];
	struct buf key;
	struct tls *t;

	/* A session belongs to one server, and to one purpose. */
	buf_init(&key, SIZE_MAX / 2);
	buf_addf(&key, "%s %s", hop_format(at, text), p->key);
	buf_add_char(&key, '\0');
	t = tls_connect(client,
	    &(struct tls_demand){ .server_name = p->sni,
		.proof = proof_of(p),
		.names = (const char *const *)p->names,
		.nnames = p->nnames,
		.address = p->nnames == 0 ? &at->addr : NULL,
		.tlsas = p->tlsas,
		.ntlsas = p->ntlsas,
		.chain = p->chain,
		.session_key = key.p },
	    why);
	buf_clear(&key);
	if (t == NULL)
		return -1;
	stream_start_tls(c->stream, t);
	return 0;
}

/* --- what came of it --- */

static enum tls_result
result_of(enum tls_failure f)
{
	switch (f) {
	case TLS_FINE:
		return TLS_RESULT_SUCCESS;
	case TLS_HOST_MISMATCH:
		return TLS_RESULT_HOST_MISMATCH;
	case TLS_EXPIRED:
		return TLS_RESULT_EXPIRED;
	case TLS_NOT_TRUSTED:
	case TLS_NO_MATCH:
		return TLS_RESULT_NOT_TRUSTED;
	case TLS_NO_HANDSHAKE:
		break;
	}
	return TLS_RESULT_VALIDATION;
}

static enum tls_result
failed(const struct conn *c, const struct fault *why)
{
	const struct tls *t = stream_failed_tls(c->stream);
	char relay[PLACE_TEXT_MAX];

	log_info(NULL, "tls-failed", "relay=%s why=%s",
	    log_cstr(conn_format(c, relay)), log_cstr(why->text));
	if (t != NULL)
		return result_of(tls_failure(t));
	/* It never began: there was nothing to go by. */
	return c->policy->level == SECURE_DANE ? TLS_RESULT_TLSA_INVALID :
						 TLS_RESULT_VALIDATION;
}

/* Without a demand too: what would have been one is worth a word. */
static enum tls_proof
proven_by(const struct conn *c, enum tls_failure f)
{
	enum tls_proof demanded = proof_of(c->policy);

	if (demanded != TLS_PROOF_NONE)
		return demanded;
	return f == TLS_FINE ? TLS_PROOF_NAME : TLS_PROOF_NONE;
}

static const char *
proof_word(enum tls_proof p)
{
	switch (p) {
	case TLS_PROOF_NONE:
		break;
	case TLS_PROOF_NAME:
		return "verified";
	case TLS_PROOF_DANE:
		return "dane";
	}
	return "untrusted";
}

static void
log_secured(const struct conn *c, const struct tls *t)
{
	char relay[PLACE_TEXT_MAX];
	struct tls_info i;

	tls_info(t, &i);
	log_info(NULL, "tls",
	    "relay=%s version=%s cipher=%s bits=%d resumed=%s verify=%s "
	    "subject=%s issuer=%s",
	    log_cstr(conn_format(c, relay)), log_cstr(i.version),
	    log_cstr(i.cipher), i.bits, i.resumed ? "yes" : "no",
	    proof_word(c->proven), log_cstr(i.subject), log_cstr(i.issuer));
}

enum tls_result
secure_ended(struct conn *c, const struct fault *why)
{
	const struct tls *t = stream_tls(c->stream);
	enum tls_failure f;

	c->proven = TLS_PROOF_NONE;
	if (why != NULL)
		return failed(c, why);
	f = tls_failure(t);
	c->proven = proven_by(c, f);
	log_secured(c, t);
	/* Who asked for no proof is content without. */
	return c->policy->testing ? result_of(f) : TLS_RESULT_SUCCESS;
}

const char *
secure_format(const struct conn *c, char out[static SECURE_TEXT_MAX])
{
	const struct tls *t = c->stream == NULL ? NULL : stream_tls(c->stream);
	struct tls_info i;

	out[0] = '\0';
	if (t == NULL)
		return out;
	tls_info(t, &i);
	snprintf(out, SECURE_TEXT_MAX, "%s %s %s", i.version, i.cipher,
	    proof_word(c->proven));
	return out;
}
