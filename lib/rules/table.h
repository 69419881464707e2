/*
 * Tables: lists and maps, compiled by the parent into one sealed memfd that
 * any process maps read-only.
 *
 * Keys are stored folded to lower case (ASCII) and are of three kinds:
 * plain text (domains, addresses, names), and networks. Lookups never
 * allocate. The image is position-free: header, hash table of text keys,
 * sorted networks, strings; table_open checks seals, size and every offset
 * before the first use.
 */
#ifndef POSTERN_RULES_TABLE_H
#define POSTERN_RULES_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fault.h"
#include "lib/base/str.h"
#include "lib/net/addr.h"

struct table; /* a mapped table */

/* --- in the parent --- */
struct table_builder;
struct table_builder *table_builder_new(const char *name);
/* key as written in the configuration or the file; value may be NULL (a
 * list). What parses as a network or address is one, also as text. Returns
 * -1 with why (a duplicate key, over a length of 1024). */
int table_builder_add(struct table_builder *b, struct str key,
    const char *value, struct fault *why);
size_t table_builder_count(const struct table_builder *b);
/* A sealed memfd with the image, the caller's to close; -1 with why. Frees
 * the builder and clears the pointer either way. */
int table_builder_seal(struct table_builder **b, struct fault *why);

/* --- everywhere --- */
/* Maps the image; fd is taken (closed here). NULL with why when it is not
 * sealed or not sound. */
struct table *table_open(int fd, const char *name, struct fault *why);
/* Another image for the same table, whose views are gone with the old one.
 * fd is taken. 0, or -1 with why: then all is as it was. */
int table_replace(struct table *t, int fd, struct fault *why);
void table_free(struct table **t);
const char *table_name(const struct table *t);
/* A list that stands in a statement has no name that anybody gave it. */
#define TABLE_ANONYMOUS "anonymous."
bool table_is_anonymous(const struct table *t);
size_t table_count(const struct table *t);
/* Is fn true for any entry with a text key? Order is none. */
bool table_any(const struct table *t,
    bool (*fn)(void *ctx, struct str key, struct str value), void *ctx);

/* Each returns whether it is there; *value (may be NULL) gets the view of
 * its value, empty for a list; it lives as long as the table. */
bool table_find(const struct table *t, struct str key, struct str *value);
/* domain, then .parent for each parent ("a.example.com" is found by
 * ".example.com"), most exact first. */
bool table_find_domain(
    const struct table *t, struct str domain, struct str *value);
/* user@domain, then @domain, then user@; local compared without case. An
 * empty local and domain look up "<>". */
bool table_find_address(const struct table *t, struct str local,
    struct str domain, struct str *value);
/* The longest matching network. */
bool table_find_source(
    const struct table *t, const struct addr *a, struct str *value);
/* The same; its length in bits, or -1. */
int table_find_network(
    const struct table *t, const struct addr *a, struct str *value);

#endif
