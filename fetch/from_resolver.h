/* What the resolver says to us, and what we ask it. */
#ifndef POSTERN_FETCH_FROM_RESOLVER_H
#define POSTERN_FETCH_FROM_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/fetch_resolver.h"
#include "lib/base/loop.h"
#include "lib/ipc/patient.h"

enum {
	RESOLVER_PATIENCE_MS = 10000, /* then it is a fault */
	/* How often one is asked when resolvers die of it. */
	RESOLVER_TRIES_MAX = 2,
	FOUND_MAX = 16 /* records that are kept */
};

enum name_kind { NAME_TEXTS, NAME_ADDRS };

/* A question about a name, embedded in its owner, who fills in the first
 * part. */
struct name_question {
	enum name_kind kind;
	struct str name; /* lives as long as the question */
	/* Once, never before from_resolver_ask returned: what was found is
	 * there until it returns. */
	void (*on_found)(struct name_question *q);

	/* --- the answer --- */
	bool fault; /* a temporary one, nothing is known */
	uint32_t ttl_s;
	char *found[FOUND_MAX]; /* owned; texts, or addresses */
	size_t nfound;

	/* --- of from_resolver.c --- */
	struct patient_question asking;
};

void from_resolver_init(struct loop *l, uint64_t patience_ms);
void from_resolver_ask(struct name_question *q);
/* It is not answered. Nothing happens when it is not asked. */
void from_resolver_cancel(struct name_question *q);

/* A socket to the resolver; what the one before did not answer is asked
 * again. */
struct channel *from_resolver_open(int socket);
void from_resolver_close(void);

#endif
