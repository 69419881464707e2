/*
 * One connection: OpenSSL directly on the socket. It reads no further than
 * the record it is asked for, so that nothing ever lies in it that the loop
 * does not know of.
 */
#include "lib/net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/net/tls_own.h"

enum {
	/* Handshake messages and alerts in a connection that is secured: some
	 * KeyUpdates in hours, and each costs us an answer. */
	AFTER_MAX = 128
};

struct tls *
tls_accept(struct tls_server *s)
{
	struct tls *t = xcalloc(1, sizeof(*t));

	t->server = tls_server_ref(s);
	t->ssl = SSL_new(s->houses[0].ctx);
	if (t->ssl == NULL)
		return t; /* its handshake fails */
	SSL_set_app_data(t->ssl, t);
	SSL_set_accept_state(t->ssl);
	if (!tls_tickets_are_on()) {
		SSL_set_options(t->ssl, SSL_OP_NO_TICKET);
		SSL_set_num_tickets(t->ssl, 0);
	}
	return t;
}

/* The handshake that is paused runs to its end, which is a failure. */
static void
end_job(struct tls *t)
{
	t->doomed = true;
	tls_key_abandon(t);
	tls_key_enter(t);
	SSL_do_handshake(t->ssl);
	tls_key_enter(NULL);
}

void
tls_free(struct tls **tp)
{
	struct tls *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	if (t->job != NULL)
		end_job(t);
	SSL_free(t->ssl);
	ERR_clear_error();
	tls_server_unref(&t->server);
	tls_wish_free(&t->wish);
	free(t->server_name);
	free(t->subject);
	free(t->issuer);
	free(t);
}

void
tls_attach(struct tls *t, int fd, void (*on_job)(void *ctx), void *ctx)
{
	t->on_job = on_job;
	t->ctx = ctx;
	if (t->ssl != NULL && SSL_set_fd(t->ssl, fd) != 1) {
		SSL_free(t->ssl);
		t->ssl = NULL;
	}
}

/* --- what OpenSSL says --- */

static const char *
closed(const struct tls *t)
{
	return t->wish != NULL ? "closed by the server" :
				 "closed by the client";
}

static enum tls_want
failed(struct tls *t, int error, int error_number)
{
	unsigned long first = ERR_peek_error();

	if (t->error != NULL)
		return TLS_FAILED;
	if (error == SSL_ERROR_SYSCALL && first == 0)
		t->error = error_number != 0 ? strerrordesc_np(error_number) :
					       closed(t);
	else if (ERR_GET_REASON(first) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		t->error = closed(t);
	else
		t->error = tls_reason();
	if (t->error == NULL)
		t->error = "unknown error";
	return TLS_FAILED;
}

/* r: what a function of OpenSSL returned, errno is still its. */
static enum tls_want
result(struct tls *t, int r)
{
	int error_number = errno, error = SSL_get_error(t->ssl, r);

	switch (error) {
	case SSL_ERROR_NONE:
		return TLS_DONE;
	case SSL_ERROR_WANT_READ:
		return TLS_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WRITE;
	case SSL_ERROR_WANT_ASYNC:
		return TLS_ASYNC;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_END;
	default:
		return failed(t, error, error_number);
	}
}

static void
begin(void)
{
	ERR_clear_error();
	errno = 0;
}

/* A session that mails for hours is not in need of this many. */
static bool
is_flooded(struct tls *t)
{
	if (t->nafter <= AFTER_MAX)
		return false;
	t->error = "too many handshake messages";
	return true;
}

/* --- what is done --- */

enum tls_want
tls_handshake(struct tls *t)
{
	enum tls_want w;
	int r;

	if (t->ssl == NULL) {
		t->error = "out of memory";
		return TLS_FAILED;
	}
	if (t->job != NULL && !t->job->done)
		return TLS_ASYNC;
	begin();
	tls_key_enter(t);
	r = SSL_do_handshake(t->ssl);
	tls_key_enter(NULL);
	w = result(t, r);
	if (w == TLS_END) { /* before it began */
		t->error = closed(t);
		w = TLS_FAILED;
	}
	if (w == TLS_DONE) {
		/* From here on nothing waits, and a job for each read is
		 * dear. */
		SSL_clear_mode(t->ssl, SSL_MODE_ASYNC);
		t->secured = true;
		tls_info_learn(t);
	}
	if (t->wish != NULL && (w == TLS_DONE || w == TLS_FAILED))
		tls_wish_ended(t);
	ERR_clear_error();
	return w;
}

enum tls_want
tls_read(struct tls *t, void *p, size_t size, size_t *n)
{
	enum tls_want w;

	*n = 0;
	begin();
	w = result(t, SSL_read_ex(t->ssl, p, size, n));
	return is_flooded(t) ? TLS_FAILED : w;
}

enum tls_want
tls_write(struct tls *t, const void *p, size_t len, size_t *n)
{
	*n = 0;
	begin();
	return result(t, SSL_write_ex(t->ssl, p, len, n));
}

void
tls_shutdown(struct tls *t)
{
	if (!t->secured || t->error != NULL)
		return;
	begin();
	SSL_shutdown(t->ssl);
	ERR_clear_error();
}
