/*
 * One question, sent to one name server: c-ares behind a fence, and the only
 * file that knows of it.
 *
 * c-ares does the sockets and matches answers with questions: source, id,
 * and the question in the packet. The ids are ours, from the kernel's random
 * numbers; the channels (with them the source ports) are many, and a
 * question goes over a random one that nobody uses, with a new socket.
 */
#ifndef POSTERN_RESOLVER_CARES_H
#define POSTERN_RESOLVER_CARES_H

#include "lib/base/loop.h"
#include "lib/base/str.h"
#include "lib/rules/config.h"
#include "resolver/dns.h"

struct cares_ask;

/* Called once, never before cares_ask returned nor from within c-ares. why
 * is NULL and there is a packet, which lives until fn returns; or why is a
 * word that lives for ever: "timeout", "unreachable", "busy", "failed". */
typedef void cares_fn(void *ctx, const char *why, struct str packet);

/* Before the jail: all the channels, none of which knows a server. Fatal
 * when c-ares does not do as it is told. */
void cares_init(struct loop *l);
/* Gives all back, when all questions were answered or cancelled. */
void cares_clear(void);
/* name as answer_name_is_askable has it. A truncated answer is asked for
 * again over TCP, a server that does not take EDNS is asked without; each of
 * these has server->timeout_ms of its own. NULL: c-ares refuses the name
 * (RFC 7686). */
struct cares_ask *cares_ask(const struct server *server, const char *name,
    enum dns_type type, cares_fn *fn, void *ctx);
/* fn will not run. */
void cares_cancel(struct cares_ask **q);

#endif
