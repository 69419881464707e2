/* What was answered lately: by name and type, the longest unused goes first
 * when there is no more room. */
#ifndef POSTERN_RESOLVER_CACHE_H
#define POSTERN_RESOLVER_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "resolver/dns.h"

struct cache;

/* Bounds: entries, and bytes of all their answers and names. */
struct cache *cache_new(size_t entries_max, size_t bytes_max);
void cache_free(struct cache **c);
/* name in lower case. A new reference, whose times are what is left of
 * them; NULL when there is none, or none any more. */
struct dns_answer *cache_get(
    struct cache *c, struct str name, enum dns_type type, uint64_t now_ms);
/* Takes a reference of its own, for a->ttl_s seconds; 0 is not kept. */
void cache_put(struct cache *c, struct str name, enum dns_type type,
    struct dns_answer *a, uint64_t now_ms);
void cache_clear(struct cache *c);
size_t cache_entries(const struct cache *c);
size_t cache_bytes(const struct cache *c);

#endif
