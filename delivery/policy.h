/*
 * What a connection to a place has to be, so that this mail may go there:
 * secured how, as whom, from where. The dialogue (smtp_client.c, secure.c)
 * obeys it; the walk (way_walk.c) makes one for each place; idle connections
 * serve who has an equal one.
 *
 * Of several demands the strictest holds: REQUIRETLS of the mail, `tls' of the
 * action, the URL's scheme, TLSA records (RFC 7672), the domain's MTA-STS
 * policy (RFC 8461; only when there is no DANE for the host).
 */
#ifndef POSTERN_DELIVERY_POLICY_H
#define POSTERN_DELIVERY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/queue_delivery.h"
#include "lib/net/addr.h"
#include "lib/net/tls_client.h"
#include "lib/rules/config.h"

enum secure_level {
	SECURE_NEVER,    /* no STARTTLS */
	SECURE_MAY,      /* when offered; without, when the handshake fails */
	SECURE_MUST,     /* encrypted, whoever it is */
	SECURE_VERIFIED, /* the certificate is for one of the names */
	SECURE_DANE      /* the certificate is as the TLSA records say */
};

/* Counted, unchanging. */
struct policy {
	unsigned int refs;
	enum secure_level level;
	enum tls_policy from; /* of TLS reports: what asked for it */
	bool testing;         /* MTA-STS testing: level is SECURE_MAY; names are
			       * checked, and only reported */
	bool at_once;         /* smtps: no STARTTLS */
	bool lmtp;
	bool require_tls; /* RFC 8689: REQUIRETLS must be offered, too */
	char *sni;        /* NULL: none (an address) */
	/* Any of them; ".example.com" stands for one more label. Owned */
	char **names;
	size_t nnames;
	struct tls_tlsa *tlsas; /* owned, data too */
	size_t ntlsas;
	char *helo;
	char *auth_table, *auth_label; /* NULL: no AUTH */
	const char *chain;     /* our certificate, PEM, or NULL; config's */
	struct config *config; /* a reference: chain lives in it */
	struct addr source[2]; /* of IPv4, IPv6; ADDR_NONE: as it comes */
	/* All of the above as a text: equal for connections that may stand in
	 * for each other. Owned. */
	char *key;
};

struct policy *policy_ref(struct policy *p);
/* Clears the pointer; NULL is allowed. */
void policy_unref(struct policy **p);

#endif
