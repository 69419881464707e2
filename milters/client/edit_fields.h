/*
 * Changes of one filter to the header: indexes become fields as they come in,
 * over a view of the list that the filter was shown and its own changes to it;
 * later the same is done to the list itself.
 */
#ifndef POSTERN_MILTERS_CLIENT_EDIT_FIELDS_H
#define POSTERN_MILTERS_CLIENT_EDIT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"
#include "milters/client/headers.h"

enum field_op_kind { FIELD_INSERT, FIELD_CHANGE, FIELD_DELETE };

struct field_op {
	enum field_op_kind kind;
	struct header_node *node;  /* it is about; INSERT: the new one */
	struct header_node *other; /* INSERT: stands before it, NULL: at the
				    * end; CHANGE: holds the new text, owned */
	bool done;
};

struct edit_fields {
	struct headers *headers;
	struct header_node **view; /* owned; NULL until the first change */
	size_t nview, view_cap;
	struct field_op *ops; /* owned */
	size_t nops, ops_cap;
};

void edit_fields_init(struct edit_fields *f, struct headers *h);
void edit_fields_clear(struct edit_fields *f);

/* A field of the name and value that a filter gave, made safe: it is one field
 * whatever they hold (value: LF or CRLF and a blank fold it). lead_space: the
 * value brings its own blank. NULL: not a name, or longer than max bytes. */
struct header_node *edit_fields_make(
    struct str name, struct str value, bool lead_space, size_t max);

/* Each takes the node over. Before the field that is number index (from 0) of
 * all, those of ours counted; beyond them: at the end. */
void edit_fields_insert(
    struct edit_fields *f, uint32_t index, struct header_node *node);
/* The index'th (from 1, 0 is 1) shown field of its name gets its text; when
 * there is none it goes to the end. */
void edit_fields_change(
    struct edit_fields *f, uint32_t index, struct header_node *node);
/* The index'th shown field of that name; none: nothing. */
void edit_fields_delete(struct edit_fields *f, uint32_t index, struct str name);

/* Bytes that they may add. */
size_t edit_fields_bytes(const struct edit_fields *f);
/* Does all of it to the list, in the name of member number. conflict is called
 * for each field that members from first on have changed. */
void edit_fields_apply(struct edit_fields *f, uint32_t number, uint32_t first,
    void (*conflict)(void *ctx, const struct header_node *n), void *ctx);

#endif
