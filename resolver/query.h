/*
 * One question and its one answer: from the cache, or from the name servers
 * in their order, those that failed lately last; asked once however many
 * want to know; CNAMEs followed.
 */
#ifndef POSTERN_RESOLVER_QUERY_H
#define POSTERN_RESOLVER_QUERY_H

#include "lib/base/counter.h"
#include "lib/base/loop.h"
#include "lib/rules/config.h"
#include "resolver/dns.h"

struct query_wait;

/* The longest time to an answer. */
enum { QUERY_TOTAL_MS = 14000 };

/* Called once, never before query_ask returned. a lives until fn returns, or
 * longer with a reference. */
typedef void query_fn(void *ctx, struct dns_answer *a);

/* Before the jail. */
void query_init(struct loop *l);
/* Gives all back, while the loop is still there; nobody is told any more. */
void query_clear(void);
/* The servers from now on; what is under way goes on with the old ones. The
 * cache is emptied when they differ. */
void query_set_servers(const struct server *servers, size_t n);
/* name: a domain name without the last dot, any case; one that no question
 * can hold (labels, length) is answered with DNS_NXDOMAIN. */
struct query_wait *query_ask(
    struct str name, enum dns_type type, query_fn *fn, void *ctx);
/* The same, but only of servers whose AD bit is believed, however ill they
 * are: what others say could hide that a record is bogus. Of what is in the
 * cache likewise. */
struct query_wait *query_ask_trusted(
    struct str name, enum dns_type type, query_fn *fn, void *ctx);
/* The same as query_ask for a client's name, of a DNS list, and for a domain's
 * policies. Each has bounds of its own, as routes have: a flood of the ones
 * leaves the others their share. */
struct query_wait *query_ask_for_client(
    struct str name, enum dns_type type, query_fn *fn, void *ctx);
struct query_wait *query_ask_for_list(
    struct str name, enum dns_type type, query_fn *fn, void *ctx);
struct query_wait *query_ask_for_policy(
    struct str name, enum dns_type type, query_fn *fn, void *ctx);
/* The asker goes away; its callback will not run. */
void query_cancel(struct query_wait **w);
/* Ended by a NULL name: resolver.queries (asked of servers),
 * resolver.cache_hits, resolver.cache_entries, resolver.faults, … */
const struct counter *query_counters(void);

#endif
