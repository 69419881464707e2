/*
 * The hosts of a way, without a question asked: which of those an MX answer
 * names may be tried, and which addresses of theirs, in which order.
 */
#ifndef POSTERN_RESOLVER_HOSTS_H
#define POSTERN_RESOLVER_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/delivery_resolver.h"
#include "lib/rules/config.h"
#include "resolver/dns.h"

enum { HOST_FAMILIES = 2, HOSTS_TEXT_MAX = 200, HOSTS_FAULT_TTL_S = 5 };

struct host {
	struct str name; /* into the MX answer, or as asked */
	uint16_t preference;
	/* To the questions of the types hosts_type(0 …); references, NULL:
	 * none yet. */
	struct dns_answer *answers[HOST_FAMILIES];
};

struct hosts {
	/* In: */
	struct str name; /* what was asked for; outlives this */
	enum way_kind kind;
	uint16_t port;
	const struct config *config; /* may be NULL; outlives this */
	/* Out: */
	struct host *list; /* owned */
	size_t n;
	struct dns_answer *mx;  /* owned reference; NULL: none */
	bool is_implicit;       /* no MX: the name itself is the host */
	uint32_t ours;          /* the best preference that is ours;
				 * above 65535: none */
	size_t nskipped, nnull; /* records that are no host; null MX */
};

struct way_addr {
	struct str host;
	uint16_t preference;
	struct addr addr;
};

/* What DNSSEC says of a host that addresses are told of. */
struct way_host {
	struct str host;
	enum way_dane dane;
	struct str base;            /* TLSA base domain; empty: the host */
	struct dns_answer *records; /* DANE_RECORDS: a reference, with those
				     * that are not usable; else NULL */
};

/* The way, or why there is none. */
struct way_found {
	enum way_result result;
	uint32_t ttl_s;
	bool ad;      /* the MX was authenticated; always without one */
	bool partial; /* addresses of a host could not be learned */
	size_t naddrs;
	struct way_addr addrs[WAY_ALL_MAX];
	size_t nhosts; /* of these; none unless DANE was asked for */
	struct way_host hosts[WAY_HOSTS_MAX];
	char text[HOSTS_TEXT_MAX]; /* empty when found */
};

void hosts_init(struct hosts *h, struct str name, enum way_kind kind,
    uint16_t port, const struct config *config);
void hosts_clear(struct hosts *h);
/* Which are asked about each host: AAAA (0) and A (1). */
enum dns_type hosts_type(size_t family);
/* The name itself is the one host (WAY_HOST). */
void hosts_from_name(struct hosts *h);
/* Those of the answer that may be tried, by preference, at most
 * WAY_HOSTS_MAX. WAY_FOUND: their addresses are to be asked for; anything
 * else is the end. */
enum way_result hosts_from_mx(struct hosts *h, struct dns_answer *mx);
/* An answer about one host (its index), to the question of that family. Of
 * many addresses no more are kept than can matter. */
void hosts_set_answer(
    struct hosts *h, size_t host, size_t family, struct dns_answer *a);
/* The end: result as hosts_from_mx gave it; with WAY_FOUND every host has
 * both answers, and what they make of it is told. */
void hosts_finish(
    const struct hosts *h, enum way_result result, struct way_found *out);
/* Is all that was heard of this host (and of the MX that names it)
 * authenticated? Every host has both answers. */
bool hosts_is_secure(const struct hosts *h, const struct host *host);
/* Where the CNAMEs of its addresses lead; empty: there are none. */
struct str hosts_canonical(const struct host *host);
/* Is the MX answer authenticated, or was there none to ask for? */
bool hosts_mx_is_secure(const struct hosts *h);
/* The one whose name this is: the very text, as told with an address. */
const struct host *hosts_find(const struct hosts *h, struct str name);

#endif
