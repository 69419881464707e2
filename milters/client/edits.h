/*
 * What one filter wants changed in one message. Collected while it talks,
 * checked at once, applied as a whole when it has answered, or not at all.
 * Indexes mean the list that this filter was shown (and its own changes to
 * it); by the time edits are applied they are bound to fields.
 */
#ifndef POSTERN_MILTERS_CLIENT_EDITS_H
#define POSTERN_MILTERS_CLIENT_EDITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "milters/client/headers.h"
#include "milters/client/milter.h"

enum {
	EDITS_MAX = 1000,           /* of one filter and message */
	EDITS_FIELD_MAX = 61440,    /* bytes of one field: more than 64 KiB no
				     * filter behind it could be shown */
	EDITS_HEADER_MAX = 2031616, /* bytes of the block, edits included */
	EDITS_BYTES_MAX = 1048576,  /* of their names, values, addresses */
	EDITS_RCPTS_MAX = 1000,
	EDITS_REASON_MAX = 512
};

struct edits;

enum edits_taken {
	EDITS_TAKEN,
	EDITS_WAIT, /* taken; nothing more before edits_body_ready */
	EDITS_BAD   /* malformed, not allowed, or too much: *fault says so */
};

/* number: of the member, from 1. headers: as they are now; not changed before
 * edits_apply. mail gives the limits. ops and ctx: where a body goes. */
struct edits *edits_new(struct headers *h, const struct milter_mail *mail,
    uint32_t number, const struct milter_ops *ops, void *ctx);
/* A new body that nobody took is freed. Clears the pointer. */
void edits_free(struct edits **e);

/* How values come: with everything behind the colon (SMFIP_HDR_LEADSPC).
 * actions: SMFIF_ bits that were negotiated. */
void edits_negotiated(struct edits *e, bool lead_space, uint32_t actions);
/* One reply packet of the end-of-message phase: code is one of
 * h i m b + 2 - e q, payload what follows it. *fault: static text. A new body
 * beyond mail->max_size is EDITS_BAD, so that an endless one ends at once (and
 * since a body has begun it is 451 whatever on-failure says). */
enum edits_taken edits_take(
    struct edits *e, char code, struct str payload, const char **fault);
/* The filter's last word came and its edits hold: a new body gets its end.
 * EDITS_TAKEN, or EDITS_WAIT as above; once, before edits_apply. */
enum edits_taken edits_end(struct edits *e);
/* After EDITS_WAIT. ok false: the storage failed. */
void edits_body_ready(struct edits *e, bool ok);
/* The body is e's. */
bool edits_owns_body(const struct edits *e, const void *body);
/* It has begun to give a new body. */
bool edits_has_body(const struct edits *e);
/* The storage of its new body failed, though the filter did no wrong. */
bool edits_storage_failed(const struct edits *e);

/* What the filters of a message have changed together. */
struct edits_sum {
	void *body;       /* of the last filter that gave one; NULL */
	uint32_t body_by; /* member and step that gave it; 0: nobody */
	uint32_t body_step;
	char *from;                     /* owned; NULL: not changed */
	char *from_args;                /* owned; with from */
	struct milter_rcpt_edit *rcpts; /* owned, with their text */
	size_t nrcpts;
	char *reason; /* owned: of a quarantine; NULL: none */
};

void edits_sum_clear(struct edits_sum *sum, const struct milter_ops *ops);

/* Applies all to the headers and the sum, in the order they came. step: a
 * second new body within one step is refused: -1, with *fault, and nothing of
 * these edits is applied. conflict is called for each field that another
 * member of the same step (they have numbers first…) has changed already: the
 * later wins. Returns 0/-1. */
int edits_apply(struct edits *e, uint32_t step, uint32_t first,
    struct edits_sum *sum, const char **fault,
    void (*conflict)(void *ctx, const struct header_node *n), void *ctx);

/* For the log: "addheader=2 replbody=1"; empty when there is nothing. */
void edits_describe(const struct edits *e, struct buf *out);
/* Number of them. */
size_t edits_count(const struct edits *e);
/* The quarantine's reason, cleaned for the log; NULL: none. */
const char *edits_quarantine(const struct edits *e);

#endif
