/*
 * The header block of a mail while filters look at it: a list of fields with
 * an identity of their own, so that what a filter wants changed stays bound
 * to the field it was shown, whatever others do meanwhile. Fields that are
 * deleted stay in the list as places.
 */
#ifndef POSTERN_MILTERS_CLIENT_HEADERS_H
#define POSTERN_MILTERS_CLIENT_HEADERS_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

struct header_node {
	TAILQ_ENTRY(header_node) entry;
	struct str raw;      /* the field with its last CRLF */
	struct str name;     /* views raw */
	struct str value;    /* behind the colon, without the last CRLF */
	char *owned;         /* raw, when a filter made it; else NULL */
	uint32_t changed_by; /* member that changed it last, counted from 1;
			      * 0: nobody */
	bool ours;           /* a field of the gateway's: not shown, not counted
			      * by name */
	bool deleted;
};

struct headers {
	TAILQ_HEAD(header_list, header_node) list;
	struct str rest; /* the empty line at the end of the block, or what
			  * is no field; stays as it is */
	size_t count;    /* not deleted, ours counted */
	size_t bytes;    /* of these */
	size_t longest;  /* bytes of the longest field that is shown */
	bool changed;
};

/* From a block whose first `ours` bytes are the gateway's fields; it is viewed,
 * not copied, and must outlive the list. */
void headers_init(struct headers *h, struct str block, size_t ours);
void headers_clear(struct headers *h);
/* The next field that filters are shown; NULL at the end, prev NULL: first. */
const struct header_node *headers_next(
    const struct headers *h, const struct header_node *prev);
/* The block as it is now. */
void headers_format(const struct headers *h, struct buf *out);
/* Counts count, bytes and longest anew, after changes. */
void headers_count(struct headers *h);
/* A field's value as a filter is shown it: line breaks are LF; without
 * lead_space one blank behind the colon is taken off. Appends to out. */
void header_value_for_filter(
    const struct header_node *n, bool lead_space, struct buf *out);

/* A field that a filter made, in no list yet: owned is "Name:value CRLF", from
 * malloc, now the node's. */
struct header_node *header_node_new(char *owned, size_t len, size_t name_len);
/* Clears the pointer; NULL is allowed. Not while it is in a list. */
void header_node_free(struct header_node **n);
/* n gets the text of from, which has none of its own any more. */
void header_node_take(struct header_node *n, struct header_node *from);

#endif
