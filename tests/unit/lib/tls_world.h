/*
 * A server over streams and its clients, OpenSSL's own, in one process and
 * one loop; keys and certificates are made when the program starts. The
 * signer has the private keys and answers a round later, or not at all.
 */
#ifndef POSTERN_TESTS_TLS_WORLD_H
#define POSTERN_TESTS_TLS_WORLD_H

#include <check.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/net/stream.h"
#include "lib/net/tls.h"

enum { GUARD_MS = 60000, JOBS_MAX = 512 };

enum kind { KIND_RSA, KIND_EC, KINDS };

/* A key with its certificate. */
struct one {
	EVP_PKEY *key;
	X509 *cert;
	char *pem;
	uint8_t id[TLS_KEY_ID];
};

enum signer { SIGNER_ANSWERS, SIGNER_FAILS, SIGNER_REFUSES, SIGNER_SLEEPS };

/* A question to the signer. */
struct sign_question {
	struct tls_job *job;
	uint64_t id;
	struct one *one;
	enum tls_scheme scheme;
	uint8_t input[TLS_SIGN_MAX];
	size_t len;
};

static struct loop *loop;
static struct one ones[8];
static size_t nones;

static struct {
	enum signer how;
	struct sign_question asked[JOBS_MAX];
	size_t nasked, nsigned, ncancelled;
	uint64_t next_id;
	struct deferred answer;
} signer;

/* --- certificates --- */

static inline void
add_ext(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	ck_assert_ptr_nonnull(e);
	ck_assert_int_eq(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline char *
to_pem(X509 *cert)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p, *text;
	long n;

	ck_assert_int_eq(PEM_write_bio_X509(b, cert), 1);
	n = BIO_get_mem_data(b, &p);
	text = xstrndup(p, (size_t)n);
	BIO_free(b);
	return text;
}

/* names: "DNS:mx.example,DNS:*.mx.example", NULL: an issuer; by: signed by it,
 * NULL: by itself. */
static inline struct one *
one_new(enum kind kind, const char *cn, const char *names, struct one *by)
{
	struct one *o = &ones[nones++];
	X509_NAME *name;
	unsigned int len = sizeof(o->id);

	ck_assert_uint_le(nones, sizeof(ones) / sizeof(ones[0]));
	o->key = kind == KIND_RSA ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	o->cert = X509_new();
	X509_set_version(o->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(o->cert), (long)nones);
	name = X509_get_subject_name(o->cert);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(
	    o->cert, by != NULL ? X509_get_subject_name(by->cert) : name);
	X509_gmtime_adj(X509_getm_notBefore(o->cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(o->cert), 86400);
	X509_set_pubkey(o->cert, o->key);
	if (names != NULL)
		add_ext(o->cert, NID_subject_alt_name, names);
	else
		add_ext(o->cert, NID_basic_constraints, "CA:TRUE");
	ck_assert_int_gt(
	    X509_sign(o->cert, by != NULL ? by->key : o->key, EVP_sha256()), 0);
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(o->cert), &der);
	EVP_Digest(der, (size_t)n, o->id, &len, EVP_sha256(), NULL);
	OPENSSL_free(der);
	o->pem = to_pem(o->cert);
	return o;
}

/* --- the signer --- */

static inline void
sign_one(struct sign_question *q)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(q->one->key, NULL);
	uint8_t out[TLS_SIGN_MAX];
	size_t n = sizeof(out);

	ck_assert_int_eq(EVP_PKEY_sign_init(c), 1);
	if (q->scheme == TLS_RSA_RAW) {
		ck_assert_uint_eq(
		    q->len, (size_t)EVP_PKEY_get_size(q->one->key));
		EVP_PKEY_CTX_set_rsa_padding(c, RSA_NO_PADDING);
	}
	ck_assert_int_eq(EVP_PKEY_sign(c, out, &n, q->input, q->len), 1);
	EVP_PKEY_CTX_free(c);
	signer.nsigned++;
	tls_job_done(q->job, (struct str){ (const char *)out, n });
}

static inline void
on_answer(void *ctx)
{
	(void)ctx;
	for (size_t i = 0; i < signer.nasked; i++) {
		struct sign_question *q = &signer.asked[i];

		if (q->job == NULL)
			continue;
		if (signer.how == SIGNER_FAILS)
			tls_job_done(q->job, STR(""));
		else
			sign_one(q);
	}
	signer.nasked = 0;
}

static inline int
world_sign(struct tls_job *job, const uint8_t key[static TLS_KEY_ID],
    enum tls_scheme scheme, struct str input, uint64_t *cancel_id)
{
	struct sign_question *q = &signer.asked[signer.nasked];

	if (signer.how == SIGNER_REFUSES)
		return -1;
	ck_assert_uint_lt(signer.nasked++, JOBS_MAX);
	q->one = NULL;
	for (size_t i = 0; i < nones; i++)
		if (memcmp(ones[i].id, key, TLS_KEY_ID) == 0)
			q->one = &ones[i];
	ck_assert_ptr_nonnull(q->one);
	ck_assert_uint_le(input.len, sizeof(q->input));
	memcpy(q->input, input.p, input.len);
	q->len = input.len;
	q->job = job;
	q->scheme = scheme;
	q->id = *cancel_id = ++signer.next_id;
	if (signer.how != SIGNER_SLEEPS)
		loop_after(loop, &signer.answer);
	return 0;
}

static inline void
world_cancel(uint64_t id)
{
	signer.ncancelled++;
	for (size_t i = 0; i < signer.nasked; i++)
		if (signer.asked[i].id == id) {
			signer.asked[i].job = NULL;
			return;
		}
	ck_abort_msg("a question that nobody asked is cancelled");
}

/* --- a server's end --- */

struct end {
	struct stream *stream;
	struct buf got;
	size_t take;                /* at once; 0: all */
	struct tls_server *upgrade; /* TLS begins with what comes first */
	bool secured, failed, timed_out, ended;
	bool leaves; /* as soon as it knows of TLS */
	int error;
	unsigned int ndrained;
	char why[200];
};

static inline size_t
end_data(void *ctx, struct str in)
{
	struct end *e = ctx;
	size_t n = e->take > 0 && e->take < in.len ? e->take : in.len;

	buf_add(&e->got, in.p, n);
	if (e->upgrade != NULL)
		stream_start_tls(e->stream, tls_accept(e->upgrade));
	else if (n < in.len)
		stream_resume(e->stream);
	e->upgrade = NULL;
	return n;
}

static inline void
end_drained(void *ctx)
{
	struct end *e = ctx;

	e->ndrained++;
}

static inline void
end_timeout(void *ctx)
{
	struct end *e = ctx;

	e->timed_out = true;
}

static inline void
end_end(void *ctx, int error)
{
	struct end *e = ctx;

	ck_assert(!e->ended);
	e->ended = true;
	e->error = error;
}

static inline void
end_secure(void *ctx, const struct fault *why)
{
	struct end *e = ctx;

	ck_assert(!e->secured && !e->failed);
	e->secured = why == NULL;
	e->failed = why != NULL;
	if (why != NULL)
		snprintf(e->why, sizeof(e->why), "%s", why->text);
	if (e->leaves)
		stream_close(&e->stream);
}

static const struct stream_ops end_ops = { end_data, end_drained, end_timeout,
	end_end, end_secure };

/* --- a client's --- */

struct client {
	SSL *ssl;
	int fd;
	struct end end;
	SSL_SESSION *session; /* the last ticket */
	bool done, failed;
};

static inline int
on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

static SSL_CTX *client_ctx;

static inline void
client_open(struct client *c, struct tls_server *s)
{
	int fds[2];

	memset(c, 0, sizeof(*c));
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	c->fd = fds[1];
	c->ssl = SSL_new(client_ctx);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_app_data(c->ssl, c);
	SSL_set_connect_state(c->ssl);
	buf_init(&c->end.got, 64 << 20);
	c->end.stream = stream_new(loop, fds[0], false, &end_ops, &c->end);
	if (s != NULL)
		stream_start_tls(c->end.stream, tls_accept(s));
}

static inline void
client_close(struct client *c)
{
	/* Or its ticket would be thought bad. */
	SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN);
	SSL_free(c->ssl);
	if (c->fd >= 0)
		close(c->fd);
	stream_close(&c->end.stream);
	buf_clear(&c->end.got);
	SSL_SESSION_free(c->session);
	c->session = NULL;
}

/* --- running --- */

static struct timer *guard, *tick;
static unsigned int rounds;

static inline void
world_guard(void *ctx)
{
	(void)ctx;
	ck_abort_msg("stuck");
}

static inline void
world_tick(void *ctx)
{
	(void)ctx;
	if (rounds-- == 0)
		loop_stop(loop);
	else
		timer_set(tick, 0);
}

/* Some rounds of the loop, waiting for nothing. */
static inline void
settle(void)
{
	rounds = 4;
	timer_set(tick, 0);
	loop_run(loop);
}

/* The client's side of the handshake, as far as it goes. */
static inline void
client_step(struct client *c)
{
	int r, error;

	if (c->done || c->failed)
		return;
	ERR_clear_error();
	r = SSL_do_handshake(c->ssl);
	error = SSL_get_error(c->ssl, r);
	c->done = r == 1;
	c->failed = r != 1 && error != SSL_ERROR_WANT_READ &&
		    error != SSL_ERROR_WANT_WRITE;
}

/* Both sides, until both know. */
static inline void
shake(struct client *c)
{
	timer_set(guard, GUARD_MS);
	while (!(c->done || c->failed) || !(c->end.secured || c->end.failed)) {
		client_step(c);
		settle();
	}
	timer_stop(guard);
}

/* What the client gets, up to n bytes; -1: no more comes. */
static inline ssize_t
client_read(struct client *c, void *p, size_t n)
{
	ssize_t got = 0;

	for (int idle = 0; (size_t)got < n && idle < 4; idle++) {
		int r = SSL_read(c->ssl, (char *)p + got, (int)n - (int)got);

		if (r > 0) {
			got += r;
			idle = 0;
			continue;
		}
		if (SSL_get_error(c->ssl, r) != SSL_ERROR_WANT_READ)
			return got > 0 ? got : -1;
		settle();
	}
	return got;
}

/* The loop in which all happens. */
static inline void
world_enter(struct loop *l)
{
	loop = l;
	guard = timer_new(loop, world_guard, NULL);
	tick = timer_new(loop, world_tick, NULL);
}

static inline void
world_leave(void)
{
	timer_free(&guard);
	timer_free(&tick);
	loop = NULL;
}

/* Once: what lasts longer than a loop. */
static inline void
world_open(void)
{
	static const char ticket_keys[160] = "first and second";

	if (client_ctx != NULL)
		return;
	signal(SIGPIPE, SIG_IGN);
	deferred_init(&signer.answer, on_answer, NULL);
	tls_prepare();
	tls_set_signer(world_sign, world_cancel);
	tls_set_tickets((struct str){ ticket_keys, sizeof(ticket_keys) });
	client_ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(
	    client_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client_ctx, on_ticket);
}

static inline void
world_close(void)
{
	for (size_t i = 0; i < nones; i++) {
		EVP_PKEY_free(ones[i].key);
		X509_free(ones[i].cert);
		free(ones[i].pem);
	}
	SSL_CTX_free(client_ctx);
}

#endif
