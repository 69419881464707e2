/* What DNSSEC says of the TLSA records of one host: which names are asked
 * for, and what the answers mean (RFC 7672 2.2). */
#ifndef POSTERN_RESOLVER_DANE_H
#define POSTERN_RESOLVER_DANE_H

#include <stdbool.h>
#include <stdint.h>

#include "edges/delivery_resolver.h"
#include "resolver/dns.h"

struct dane;

struct dane_host {
	struct str name;      /* as an MX record has it, or as asked */
	struct str canonical; /* where CNAMEs led; empty: there were none */
	bool secure;          /* all that was heard of its addresses is
			       * authenticated */
	uint16_t port;
};

struct dane_found {
	enum way_dane dane;
	struct str base;
	/* DANE_RECORDS: among these at least one usable; else NULL */
	struct dns_answer *records;
	uint32_t ttl_s;
};

/* f and its views live until fn returns, records longer with a reference. */
typedef void dane_fn(void *ctx, const struct dane_found *f);

/* Of a host whose addresses are insecure only the name itself may have
 * records, and only if it is a CNAME that is secure: without one there is
 * nothing to ask. fn is called once, never before this returned, and the
 * question is gone behind it. */
struct dane *dane_ask(const struct dane_host *h, dane_fn *fn, void *ctx);
/* The asker goes away; fn will not run. */
void dane_cancel(struct dane **d);

/* A record to go by: usage 2 or 3, and a selector, a matching type and a
 * length that we know. */
bool dane_is_usable(const struct dns_record *r);

#endif
