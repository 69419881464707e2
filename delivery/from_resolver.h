/* What the resolver says to us, and what we ask it. */
#ifndef POSTERN_DELIVERY_FROM_RESOLVER_H
#define POSTERN_DELIVERY_FROM_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "edges/delivery_resolver.h"
#include "lib/base/loop.h"
#include "lib/ipc/patient.h"
#include "lib/net/addr.h"

enum {
	QUESTION_PATIENCE_MS = WAY_PATIENCE_MS,
	/* How often one is asked when resolvers die of it. */
	QUESTION_TRIES_MAX = 2
};

struct question;

/* What its asker hears; called from the loop only. */
struct question_ops {
	/* An address of a host; both are sound. */
	void (*on_addr)(struct question *q, const struct tell_way_addr *m,
	    const struct addr *a);
	/* What DNSSEC says of a host, whose name and base are sound; then a
	 * record of the host named last. NULL when dane is not asked for. */
	void (*on_dane)(struct question *q, const struct tell_way_dane *m);
	void (*on_tlsa)(struct question *q, const struct tell_way_tlsa *m);
	/* It is asked anew: what came so far is void. */
	void (*on_again)(struct question *q);
	/* The end; q is the asker's again. WAY_FAULT also when nobody
	 * answers. The text is printable ASCII. */
	void (*on_answer)(struct question *q, const struct answer_way *m);
};

/* Embedded in its asker, who sets the first two. */
struct question {
	const struct question_ops *ops;
	struct ask_way ask; /* its views live as long as the question */
	struct patient_question asking;
};

/* patience_ms: QUESTION_PATIENCE_MS. */
void from_resolver_init(struct loop *l, uint64_t patience_ms);
/* A socket to the resolver; the one before is dead. What it did not answer
 * is asked again. */
struct channel *from_resolver_open(int socket);
/* Ends the channel; questions wait for the next one. */
void from_resolver_close(void);
/* Its end comes once, never before this returned. */
void from_resolver_ask(struct question *q);
/* Nothing comes any more. */
void from_resolver_cancel(struct question *q);
/* The TLSRPT record of a domain (RFC 8460): fn is called once, from the loop.
 * text is empty when there is none; ttl_s 0: nobody knows. False: there is no
 * resolver, and fn is not called. */
bool from_resolver_ask_rua(struct str domain,
    void (*fn)(void *ctx, struct str text, uint32_t ttl_s), void *ctx);
/* Questions for a way since the start; those asked again count once. */
uint64_t from_resolver_total(void);

#endif
