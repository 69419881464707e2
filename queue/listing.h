/*
 * Listings of messages for an administrator: rows of each that the filter
 * has, one after the other, as the channel takes them.
 */
#ifndef POSTERN_QUEUE_LISTING_H
#define POSTERN_QUEUE_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/from_control.h"

/* Who asked for what. */
struct listing_to {
	struct control_peer *peer;
	uint64_t id;
	struct filter filter;
};

struct listing_view {
	/* Is the message part of this listing at all? */
	bool (*has)(const struct entry *e);
	/* Its rows, when the filter has it; false: it does not. */
	bool (*tell)(const struct listing_to *to, const struct entry *e);
};

/* Takes what is in the filter (which is empty then); view lives on. */
void listing_start(struct control_peer *p, uint64_t id, struct filter *f,
    const struct listing_view *view);
/* A recipient's row. */
void listing_tell_rcpt(const struct listing_to *to, const struct rcpt *r);
/* `show queue'. */
void listing_queue(struct control_peer *p, uint64_t id, struct filter *f);

#endif
