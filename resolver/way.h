/* The way to a next hop with a name: its mail hosts, and their addresses. */
#ifndef POSTERN_RESOLVER_WAY_H
#define POSTERN_RESOLVER_WAY_H

#include "lib/base/loop.h"
#include "resolver/hosts.h"

struct way;

/* f and its views live until fn returns. */
typedef void way_fn(void *ctx, const struct way_found *f);

/* Before all else. */
void way_init(struct loop *l);
/* The configuration from now on: our names and listeners. Keeps a reference;
 * NULL: none. */
void way_set_config(struct config *c);
/* That one (no new reference). */
struct config *way_config(void);
/* Finds it; name is a valid domain name (path_is_domain), port the one that
 * is meant there, by which we know ourselves; with dane TLSA records are looked
 * for, too, unless DNSSEC is off (validation.h). fn is called once, never
 * before this returned, and the way is gone behind it. */
struct way *way_ask(struct str name, enum way_kind kind, uint16_t port,
    bool dane, way_fn *fn, void *ctx);
/* The asker goes away; fn will not run. */
void way_cancel(struct way **w);

#endif
