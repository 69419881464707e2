/*
 * TLS of a listener and of a connection: OpenSSL, which only tls.c and the
 * files beside it (tls_server.c, tls_key.c and so on) include.
 *
 * No private key is ever here: certificates come with the public half, and
 * each private operation is asked of a signer and goes on when the answer is
 * there. Meanwhile only this handshake waits.
 */
#ifndef POSTERN_NET_TLS_H
#define POSTERN_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fault.h"
#include "lib/base/str.h"

struct tls_server; /* a listener's: certificates, names, ticket keys; counted
		    * references, connections hold one */
struct tls;        /* one connection */

/* --- who signs --- */

enum { TLS_KEY_ID = 32, TLS_SIGN_MAX = 1024 };

enum tls_scheme { TLS_RSA_RAW, TLS_ECDSA }; /* as edges/smtpd_vault.h has it */

struct tls_job; /* one operation that a handshake waits for */

/* Asks for the private operation of this key (SHA-256 of its
 * SubjectPublicKeyInfo) on input. 0: tls_job_done follows, exactly once and
 * never from inside; -1: it cannot be asked. *cancel_id is kept for
 * tls_cancel_fn. */
typedef int tls_sign_fn(struct tls_job *job,
    const uint8_t key[static TLS_KEY_ID], enum tls_scheme scheme,
    struct str input, uint64_t *cancel_id);
/* Nobody waits for it any more: tls_job_done must not come. */
typedef void tls_cancel_fn(uint64_t cancel_id);
/* output empty: it failed. */
void tls_job_done(struct tls_job *job, struct str output);

/* Once, before the jail: loads what OpenSSL reads and makes at its first use
 * (configuration, random, a handshake of each kind of key). */
void tls_prepare(void);
/* NULL: there is none, and no job waits. */
void tls_set_signer(tls_sign_fn *sign, tls_cancel_fn *cancel);
/* There is one: a handshake has a chance. */
bool tls_has_signer(void);

/* --- a listener --- */

struct tls_identity {
	const char *const *chains; /* PEM, one for each kind of key */
	size_t nchains;
};

struct tls_server_conf {
	const struct tls_identity *identities; /* chosen by SNI (the names in
						* their certificates, with
						* wildcards); the first for
						* the rest */
	size_t nidentities;
	uint32_t session_context; /* tickets of one are not good for another */
	bool ask_client_cert;
	const char *client_ca; /* PEM, or NULL: not checked */
};

/* TLS 1.2 and 1.3; NULL with why. */
struct tls_server *tls_server_new(
    const struct tls_server_conf *conf, struct fault *why);
struct tls_server *tls_server_ref(struct tls_server *s);
/* Drops one reference, clears the pointer; NULL is allowed. */
void tls_server_unref(struct tls_server **s);
/* For all servers of the process: 80 bytes each, the first encrypts, all
 * decrypt. */
void tls_set_tickets(struct str keys);

/* --- a connection (stream.c drives it) --- */

struct tls *tls_accept(struct tls_server *s);
void tls_free(struct tls **t);

/* What is known once it is secured. Views live as long as t. */
struct tls_info {
	const char *version; /* "TLSv1.3" */
	const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
	int bits;
	bool resumed;
	const char *server_name;      /* SNI, checked to be a host name; "" */
	const char *subject, *issuer; /* of the client's certificate; "" */
	bool has_cert, verified;      /* against client_ca */
};

void tls_info(const struct tls *t, struct tls_info *out);
/* The same while or after it failed: "no shared cipher"; for the log. */
const char *tls_error(const struct tls *t);

enum tls_want {
	TLS_DONE,
	TLS_READ,  /* call again when the socket can be read */
	TLS_WRITE, /* … written */
	TLS_ASYNC, /* … when on_job comes */
	TLS_END,   /* the peer said goodbye */
	TLS_FAILED
};

/* Binds it to a socket (not owned). on_job: a private operation has been
 * done, call tls_handshake again; never from inside a call here. */
void tls_attach(struct tls *t, int fd, void (*on_job)(void *ctx), void *ctx);
enum tls_want tls_handshake(struct tls *t);
/* *n: bytes read or written with TLS_DONE. */
enum tls_want tls_read(struct tls *t, void *p, size_t size, size_t *n);
enum tls_want tls_write(struct tls *t, const void *p, size_t len, size_t *n);
/* Says goodbye; best effort. */
void tls_shutdown(struct tls *t);

#endif
