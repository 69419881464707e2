/* The front door as the configuration has it: listeners, and the certificates
 * that they show. */
#ifndef POSTERN_RULES_FRONT_CONF_H
#define POSTERN_RULES_FRONT_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "lib/net/addr.h"
#include "lib/rules/milter_conf.h"
#include "lib/rules/table.h"

enum listener_flags {
	LISTENER_SUBMIT = 1,       /* `listen on socket` */
	LISTENER_NO_RDNS = 2,      /* nobody asks who calls */
	LISTENER_NO_MILTERS = 4,   /* no filters, whatever the rules say */
	LISTENER_TLS_REQUIRE = 8,  /* no mail without TLS */
	LISTENER_SMTPS = 16,       /* TLS from the first byte on */
	LISTENER_AUTH_CLEAR = 32,  /* AUTH also without TLS (loopback only) */
	LISTENER_SCRAM = 64,       /* the table of auth has secrets for it */
	LISTENER_PROXY = 128,      /* from everybody a PROXY header is due */
	LISTENER_GREET_FLAG = 256, /* who talks first is flagged, not refused */
	LISTENER_CLIENT_CERT = 512 /* clients are asked for a certificate */
};

enum { PKI_CERTS_MAX = 4, LISTENER_PKIS_MAX = 16, CERT_CHAIN_MAX = 60000 };

/* A certificate with its chain; its key is in the vault. */
struct cert {
	char *chain;                /* PEM, the certificate first */
	char *cert_path, *key_path; /* in the parent; else NULL */
	int key_fd;         /* in the parent, opened but unread; 0: not open */
	uint64_t key_stamp; /* in the parent: another one, another file */
};

/* The certificates of one identity, of different kinds of key. */
struct pki {
	uint32_t id; /* its index */
	uint32_t line;
	char *name;
	struct cert certs[PKI_CERTS_MAX];
	size_t ncerts;
};

struct listener {
	uint32_t id;   /* its index */
	uint32_t line; /* in the configuration, for messages */
	/* Where its connections are counted (lib/net/sources.h): the same for
	 * as long as it is there, whatever its id is by then. */
	uint32_t slot;
	struct addr addr; /* ADDR_LOCAL: path is set */
	uint16_t port;
	char *path;
	char *hostname;    /* NULL: the global one */
	char *tag;         /* NULL: none */
	uint64_t max_size; /* bytes; 0: limit message-size */
	/* filters; NULL: none. Not owned */
	const struct milter_set *milters;
	/* no filters for these sources, whatever the rules say; or NULL.
	 * Not owned */
	struct table *no_milters_from;
	/* TLS is offered when there is one; the first is for clients that
	 * name no host, or one that none of them is for. Not owned */
	const struct pki *pkis[LISTENER_PKIS_MAX];
	size_t npkis;
	char *client_ca;    /* PEM: client certificates are checked against it;
			     * NULL: they are only shown */
	struct table *auth; /* of users (values are in the vault); or NULL.
			     * Not owned, as the others */
	struct table
	    *senders; /* user = addresses he may send from; NULL: all */
	struct table *xclient_from; /* may say XCLIENT; NULL: nobody */
	struct table *proxy_from;   /* come with a PROXY header; or NULL */
	struct table *no_delay_for; /* greet_delay is not for them; or NULL */
	uint64_t greet_delay_ms;    /* 0: none */
	uint32_t flags;
};

#endif
