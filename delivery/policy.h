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

#include "delivery/sts.h"
#include "edges/delivery_resolver.h"
#include "edges/queue_delivery.h"
#include "lib/net/tls_client.h"
#include "lib/rules/config.h"
#include "lib/rules/hop.h"

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
	/* Of TLS reports: what asked for it, whose that is (NULL: nobody's),
	 * and of MTA-STS the policy (a reference, else NULL) */
	enum tls_policy from;
	char *domain;
	struct sts_policy *sts;
	bool testing; /* MTA-STS testing: level is SECURE_MAY; names are
		       * checked, and only reported */
	bool at_once; /* smtps: no STARTTLS */
	bool lmtp;
	bool require_tls; /* RFC 8689: REQUIRETLS must be offered, too */
	char *sni;        /* NULL: none (an address) */
	/* Any of them; ".example.com" stands for one more label. Owned. None
	 * with SECURE_VERIFIED: the address that it is connected to */
	char **names;
	size_t nnames;
	struct tls_tlsa *tlsas; /* owned, data too */
	size_t ntlsas;
	char *helo;
	char *auth_table, *auth_label; /* NULL: no AUTH */
	const char *chain;     /* our certificate, PEM, or NULL; config's */
	struct config *config; /* a reference: chain lives in it */
	/* What of the above the connection depends on, as a text: equal for
	 * those that may stand in for each other. Owned */
	char *key;
};

struct policy *policy_ref(struct policy *p);
/* Clears the pointer; NULL is allowed. */
void policy_unref(struct policy **p);

/* --- making one --- */

/* Why there is none: mail must not go there. */
enum policy_refusal {
	POLICY_FINE,
	POLICY_DANE_FAULT, /* nobody knows what its TLSA records say */
	POLICY_STS_DENIED, /* no host of the domain's policy (RFC 8461 5) */
	POLICY_STS_FAULT,  /* nobody can tell the domain's policy, and it may
			    * be one that holds (5.1) */
	POLICY_IN_CLEAR,   /* never TLS by its URL, but the action wants it */
	POLICY_NO_REQUIRE, /* the same, and the mail wants it (RFC 8689) */
	POLICY_MX_UNSURE   /* the mail wants it, and nothing vouches for it
			    * that this is a host of the domain */
};

/* All that demands something. */
struct policy_parts {
	struct config *config;
	const struct action *action; /* a relay of config */
	const struct hop_url *url;
	bool require_tls;             /* the mail */
	bool tls_optional;            /* it is a report about TLS: neither TLSA
				       * nor MTA-STS hold it up (RFC 8460 3) */
	const char *host;             /* whose address it is; NULL: no name */
	bool mx_is_secure;            /* the MX that named host (DNSSEC) */
	const struct host_dane *dane; /* of the host; NULL: DANE_NONE */
	struct sts_policy *sts;       /* of the domain; NULL: none is asked */
};

/* What DNSSEC says of a host. */
struct host_dane {
	enum way_dane is;
	char *base; /* owned, as the records and their data */
	struct tls_tlsa *tlsas;
	size_t ntlsas;
};

void host_dane_clear(struct host_dane *d);

/* What was made last for a place, to be given again for the same parts. */
struct policy_slot {
	const struct config *config;
	const struct action *action;
	const struct sts_policy *sts;
	enum hop_kind kind;
	enum hop_tls tls;
	bool lmtp, require_tls, tls_optional;
	struct policy *policy; /* NULL: nothing yet */
};

void policy_slot_clear(struct policy_slot *s);

/* NULL with why not. */
struct policy *policy_make(
    const struct policy_parts *q, enum policy_refusal *no);
/* The same from slot, or made and kept there, with a reference. A slot serves
 * one host: host, mx_is_secure and dane are not looked at. */
struct policy *policy_get(struct policy_slot *slot,
    const struct policy_parts *q, enum policy_refusal *no);
/* The same of a next hop without a name, kept by its URL. */
struct policy *policy_get_by_url(
    struct str url, const struct policy_parts *q, enum policy_refusal *no);
/* Forgets those. */
void policies_clear(void);

/* Is the host's TLSA to be asked for? And the domain's MTA-STS policy? By MX
 * both are for a mail with REQUIRETLS, whatever the action says. */
bool policy_wants_dane(
    const struct action *a, const struct hop_url *url, bool require_tls);
bool policy_wants_sts(
    const struct action *a, const struct hop_url *url, bool require_tls);

#endif
