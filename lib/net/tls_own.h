/* What the files of TLS share among themselves, and with nobody else. */
#ifndef POSTERN_NET_TLS_OWN_H
#define POSTERN_NET_TLS_OWN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/net/tls.h"
#include "lib/net/tls_client.h"

enum { TLS_CERTS_MAX = 8, TLS_NAME_MAX = 255 };

/* What a client that names this identity's hosts is shown. */
struct tls_house {
	SSL_CTX *ctx;
	X509 *certs[TLS_CERTS_MAX]; /* for their names; owned */
	size_t ncerts;
};

struct tls_server {
	unsigned int refs;
	size_t nhouses;
	struct tls_house houses[]; /* the first is for everybody else */
};

/* A private operation; lies on the stack of the handshake that waits for
 * it. */
struct tls_job {
	struct tls *tls;
	uint64_t cancel_id;
	uint8_t *to;
	size_t max, len; /* len 0: it failed */
	bool done;
};

enum { TLS_SESSION_ID = 32 };

struct tls_sessions; /* kept, to be taken up again */

/* A server's certificate was looked at: this was found. A session that is
 * taken up, and what comes of it, stand on that look. */
struct tls_look {
	enum tls_failure found;
	uint64_t at_ms; /* monotonic */
};

/* What a connection out wants, and what came of it. All else of the demand is
 * in its SSL. */
struct tls_wish {
	struct tls_client *client; /* a reference */
	enum tls_proof proof;
	uint8_t id[TLS_SESSION_ID]; /* of its sessions: a hash of the demand */
	bool keeps;                 /* them */
	bool offered;               /* a kept one */
	struct tls_look kept;       /* what that stands on */
	struct tls_look look;       /* at the certificate that was shown */
};

struct tls {
	SSL *ssl;
	struct tls_server *server; /* a reference; NULL: we connected */
	struct tls_wish *wish;     /* of one that we connected; else NULL */
	void (*on_job)(void *ctx);
	void *ctx;
	struct tls_job *job; /* asked for and not taken yet, or NULL */
	const char *error;   /* static; NULL: none so far */
	char *server_name;   /* these three: owned; NULL: none */
	char *subject, *issuer;
	uint16_t nafter; /* handshake messages and alerts after it was
			  * secured */
	bool secured, doomed;
};

/* --- tls_key.c --- */
/* The private half of this certificate's key, as one that asks the signer.
 * NULL with why when there is none for that kind. The caller's. */
EVP_PKEY *tls_key_of(X509 *cert, struct fault *why);
/* The connection whose handshake runs from now on; NULL: none does. */
void tls_key_enter(struct tls *t);
/* Nobody waits for its job any more; the handshake will see it fail. */
void tls_key_abandon(struct tls *t);

/* --- tls_tickets.c --- */
void tls_tickets_use(SSL_CTX *ctx);
/* There are keys for them. */
bool tls_tickets_are_on(void);

/* --- tls_client.c --- */
/* The handshake has ended. */
void tls_wish_ended(struct tls *t);
void tls_wish_free(struct tls_wish **w);

/* --- tls_sessions.c --- */
struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions **s);
/* Keeps it under id, in place of the one before. */
void tls_sessions_keep(struct tls_sessions *s,
    const uint8_t id[static TLS_SESSION_ID], const SSL_SESSION *session,
    const struct tls_look *look);
/* Has ssl offer the one under id; false: there is none whose look was not too
 * long ago. */
bool tls_sessions_offer(struct tls_sessions *s,
    const uint8_t id[static TLS_SESSION_ID], SSL *ssl, struct tls_look *look);
/* The one under id did no good. */
void tls_sessions_drop(
    struct tls_sessions *s, const uint8_t id[static TLS_SESSION_ID]);

/* --- tls_verify.c --- */
/* Servers of this context are looked at as each connection's wish has it. */
void tls_verify_use(SSL_CTX *ctx);
/* Who the server has to be; its SSL gets all of it. 0, or -1 with why. */
int tls_verify_set(SSL *ssl, const struct tls_demand *d, struct fault *why);
/* Looking at them costs no more than anybody's decent certificates do. */
bool tls_chain_is_cheap(const STACK_OF(X509) * chain);

/* --- tls_server.c --- */
/* Counts what the peer can make us answer without end. */
void tls_on_event(const SSL *ssl, int where, int ret);

/* --- tls_client_cert.c --- */
/* Clients of this context are asked for a certificate, which is checked
 * against ca (PEM, or NULL). 0, or -1 with why. */
int tls_client_ask(SSL_CTX *ctx, const char *ca, struct fault *why);

/* --- tls_info.c --- */
/* Remembers what is asked for later and is costly, or does not last. */
void tls_info_learn(struct tls *t);
/* Names a host, and may stand in a log; addresses are nobody's name (RFC 6066
 * 3). */
bool tls_is_host_name(const char *name);
/* A text for the oldest error in OpenSSL's queue; never NULL. */
const char *tls_reason(void);
/* The next certificate in PEM, the caller's; NULL at the end, or where it is
 * none. */
X509 *tls_next_cert(BIO *pem);

#endif
