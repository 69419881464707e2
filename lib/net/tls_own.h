/* What the files of TLS share among themselves, and with nobody else. */
#ifndef POSTERN_NET_TLS_OWN_H
#define POSTERN_NET_TLS_OWN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/net/tls.h"

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

struct tls {
	SSL *ssl;
	struct tls_server *server; /* a reference */
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
