/*
 * The map: every process, every edge between them.
 *
 *	            parent --- all_parent: everyone
 *
 *	client --> smtpd --smtpd_queue--> queue --queue_delivery--> delivery
 *	                                    |-----queue_delivery--> maildir
 *	                                    `-----queue_delivery--> mda
 *	smtpd    --smtpd_dialer------> dialer --dialer_resolver-> resolver
 *	smtpd    --smtpd_resolver----> resolver
 *	smtpd    --smtpd_vault-------> vault (keys), vault (passwords)
 *	delivery --delivery_resolver-> resolver
 *	delivery --delivery_dialer---> dialer (next hops that are Unix sockets)
 *	delivery --delivery_vault----> vault (keys), vault (passwords)
 *	delivery --delivery_fetch----> fetch --fetch_resolver--> resolver
 *
 *	posternctl --control_all--> control --control_all--> everyone
 *	web        --control_all--> control (what may be viewed, no more)
 */
#ifndef POSTERN_EDGES_EDGES_H
#define POSTERN_EDGES_EDGES_H

#include "lib/ipc/edge.h"

enum role {
	ROLE_PARENT,
	ROLE_SMTPD,
	ROLE_DIALER,
	ROLE_RESOLVER,
	ROLE_QUEUE,
	ROLE_DELIVERY,
	ROLE_MAILDIR,
	ROLE_CONTROL,
	ROLE_VAULT, /* enum vault_instance */
	ROLE_MDA,
	ROLE_FETCH,
	ROLE_WEB,
	ROLE_COUNT
};

/* There are two vaults: what one has, the other never sees. */
enum vault_instance { VAULT_KEYS, VAULT_PASSWORDS, VAULT_INSTANCES };

/* smtpd processes of before a restart in place: from here on. Ours are far
 * below, whatever `workers' says. */
enum { INSTANCE_RETIRED = 1000 };

/* "parent", "smtpd" … */
const char *role_name(enum role r);
/* -1 when there is no such role. */
int role_find(const char *name);

/* The edge on which two roles talk (but for all_parent), NULL when they do
 * not; *end gets the end that is `self`. */
const struct edge *edges_between(
    enum role self, enum role peer, enum edge_end *end);

/* Over the definitions of all of them: a process that was built from others
 * is not let in, also when its edge to the parent is the same. */
uint64_t edges_hash(void);

#endif
