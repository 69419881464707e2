/*
 * The addresses of the hosts that the configuration names, by the resolver:
 * asked for when a configuration comes, and again when their time is over.
 * What was known stays as long as nothing else is.
 */
#ifndef POSTERN_DIALER_ADDRESSES_H
#define POSTERN_DIALER_ADDRESSES_H

#include "lib/base/loop.h"
#include "lib/ipc/channel.h"
#include "lib/net/addr.h"
#include "lib/rules/config.h"

/* Before the jail. */
void addresses_init(struct loop *l);
/* Its hosts from now on; all are asked for again. Who waits for one that is
 * gone is told. */
void addresses_set_config(const struct config *c);
/* The channel to the resolver, over socket (taken); a former one is dead. */
struct channel *addresses_open(int socket);

/* n addresses in the order they are to be tried, another first each time; or
 * n 0 and why not. All of it lives until fn returns. */
typedef void addresses_fn(
    void *ctx, const struct addr *list, size_t n, const char *why);

struct addresses_wait;

/* Calls fn once: before it returns when there is an answer, which gives NULL;
 * else later. */
struct addresses_wait *addresses_get(
    struct str host, bool ipv6, addresses_fn *fn, void *ctx);
/* The asker goes away; fn will not run. Clears the pointer. */
void addresses_cancel(struct addresses_wait **w);

#endif
