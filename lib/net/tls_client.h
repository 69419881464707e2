/*
 * TLS towards servers: who they must prove to be, and sessions taken up again.
 * The connection itself is tls.h's (stream_start_tls drives it).
 */
#ifndef POSTERN_NET_TLS_CLIENT_H
#define POSTERN_NET_TLS_CLIENT_H

#include "lib/net/addr.h"
#include "lib/net/tls.h"

/* What all connections out share: authorities, sessions kept; counted. */
struct tls_client;

enum { TLS_SESSIONS_MAX = 4096 /* kept; the oldest goes */ };

/* authorities: PEM, may be empty: then nobody can be verified by one. Those
 * that cannot be read are left out and counted in *nbad (may be NULL). NULL
 * with why. */
struct tls_client *tls_client_new(
    struct str authorities, size_t *nbad, struct fault *why);
/* These very bytes are its authorities. */
bool tls_client_trusts(const struct tls_client *c, struct str authorities);
struct tls_client *tls_client_ref(struct tls_client *c);
void tls_client_unref(struct tls_client **c);

/* A TLSA record (RFC 6698): usage 2 or 3. */
struct tls_tlsa {
	uint8_t usage, selector, matching;
	uint8_t *data;
	size_t len;
};

enum tls_proof {
	TLS_PROOF_NONE, /* nothing is asked for; what would have held says
			 * tls_failure */
	TLS_PROOF_NAME, /* a chain to an authority, and one of the names */
	TLS_PROOF_DANE  /* as the records say; usage 2: and one of the names */
};

struct tls_demand {
	const char *server_name; /* SNI; NULL: none */
	enum tls_proof proof;
	const char *const *names; /* host names; ".example.com": one more label
				   * before it */
	size_t nnames;
	const struct addr *address; /* instead of names: in the certificate; or
				     * NULL */
	const struct tls_tlsa *tlsas;
	size_t ntlsas;
	const char *chain; /* our certificate (PEM), whose key the signer has;
			    * NULL: none */
	const char *session_key; /* a session kept under it may be taken up, a
				  * new one is kept; NULL: neither */
};

/* For stream_start_tls. All of d is copied. NULL with why. A handshake that
 * does not bring the proof fails, with tls_failure saying how. */
struct tls *tls_connect(
    struct tls_client *c, const struct tls_demand *d, struct fault *why);

/* t was made by c. */
bool tls_is_of(const struct tls *t, const struct tls_client *c);

/* What went wrong with a handshake, or (TLS_PROOF_NONE) would have if a proof
 * had been asked for. */
enum tls_failure {
	TLS_FINE,
	TLS_NO_HANDSHAKE, /* no common version or cipher, garbage, end */
	TLS_HOST_MISMATCH,
	TLS_EXPIRED, /* or not valid yet */
	TLS_NOT_TRUSTED,
	TLS_NO_MATCH /* with no TLSA record */
};

/* Valid once the handshake has ended, well or not. */
enum tls_failure tls_failure(const struct tls *t);

#endif
