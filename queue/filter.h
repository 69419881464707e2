/* The administrator's filters over messages and recipients: all terms must
 * hold. */
#ifndef POSTERN_QUEUE_FILTER_H
#define POSTERN_QUEUE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/control_all.h"
#include "queue/index.h"

enum { FILTER_TERMS_MAX = 64 };

struct term; /* in filter.c */

struct filter {
	struct term *terms; /* owned */
	size_t nterms;
	uint64_t limit; /* messages; UINT64_MAX: all */
	bool bad;       /* a term made no sense */
};

void filter_init(struct filter *f);
void filter_clear(struct filter *f);
/* One more term; what makes no sense sets bad. */
void filter_add(struct filter *f, const struct tell_term *m);
/* The id that a message must have, when there is one such term; else the
 * empty view. */
struct str filter_id(const struct filter *f);
/* The terms about the message; now_ms: monotonic. */
bool filter_has_entry(
    const struct filter *f, const struct entry *e, uint64_t now_ms);
/* The terms about one recipient. */
bool filter_has_rcpt(const struct filter *f, const struct rcpt *r);
/* The message, and at least one of its recipients. */
bool filter_has(const struct filter *f, const struct entry *e, uint64_t now_ms);

#endif
