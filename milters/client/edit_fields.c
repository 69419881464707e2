/* Header edits: bound to fields when they come, replayed when they hold. */
#include "milters/client/edit_fields.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"

enum { NAME_MAX_BYTES = 100 };

void
edit_fields_init(struct edit_fields *f, struct headers *h)
{
	memset(f, 0, sizeof(*f));
	f->headers = h;
}

void
edit_fields_clear(struct edit_fields *f)
{
	for (size_t i = 0; i < f->nops; i++) {
		struct field_op *op = &f->ops[i];

		if (op->kind == FIELD_INSERT && !op->done)
			header_node_free(&op->node);
		if (op->kind == FIELD_CHANGE)
			header_node_free(&op->other);
	}
	free(f->ops);
	free(f->view);
	edit_fields_init(f, f->headers);
}

/* --- text --- */

static bool
is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == ':')
			return false;
	return s.len > 0 && s.len <= NAME_MAX_BYTES;
}

static bool
is_blank(struct str s)
{
	return str_trim(s).len == 0;
}

/* One line of a value, without any CR. */
static void
add_line(struct buf *out, struct str line)
{
	while (line.len > 0) {
		size_t n = str_find(line, '\r');

		buf_add_str(out, str_head(line, n));
		line = str_skip(line, n + 1);
	}
}

/* Lines behind the first are folds: they begin with a blank, and have more
 * than that, or the header would end there for some. */
static void
add_value(struct buf *out, struct str value)
{
	size_t n = str_find(value, '\n'), begin;

	add_line(out, str_head(value, n));
	while (n < value.len) {
		value = str_skip(value, n + 1);
		n = str_find(value, '\n');
		begin = out->len;
		buf_add_str(out, STR("\r\n\t"));
		add_line(out, str_head(value, n));
		if (out->failed)
			return;
		struct str line = str_skip(buf_str(out), begin + 3);
		if (is_blank(line)) {
			out->len = begin;
		} else if (line.p[0] == ' ' || line.p[0] == '\t') {
			/* It has its own. */
			memmove(
			    out->p + begin + 2, out->p + begin + 3, line.len);
			out->len--;
		}
	}
}

struct header_node *
edit_fields_make(struct str name, struct str value, bool lead_space, size_t max)
{
	struct buf out;

	if (!is_name(name))
		return NULL;
	buf_init(&out, max);
	buf_add_str(&out, name);
	buf_add_char(&out, ':');
	if (!lead_space && value.len > 0)
		buf_add_char(&out, ' ');
	add_value(&out, value);
	buf_add_str(&out, STR("\r\n"));
	if (out.failed) {
		buf_clear(&out);
		return NULL;
	}
	return header_node_new(out.p, out.len, name.len);
}

/* --- the view --- */

static void
view_reserve(struct edit_fields *f)
{
	if (f->nview < f->view_cap)
		return;
	f->view_cap *= 2;
	f->view =
	    xreallocarray(f->view, f->view_cap, sizeof(struct header_node *));
}

static void
view_make(struct edit_fields *f)
{
	struct header_node **view, *n;
	size_t room = f->headers->count + 32;

	if (f->view != NULL)
		return;
	view = xreallocarray(NULL, room, sizeof(struct header_node *));
	TAILQ_FOREACH(n, &f->headers->list, entry)
		if (!n->deleted && f->nview < room)
			view[f->nview++] = n;
	f->view = view;
	f->view_cap = room;
}

/* Where the index'th shown field of that name stands; nview: nowhere. */
static size_t
view_find(struct edit_fields *f, uint32_t index, struct str name)
{
	uint32_t left = index == 0 ? 1 : index;

	view_make(f);
	for (size_t i = 0; i < f->nview; i++) {
		const struct header_node *n = f->view[i];

		if (!n->ours && str_eq_nocase(n->name, name) && --left == 0)
			return i;
	}
	return f->nview;
}

static void
op_add(struct edit_fields *f, enum field_op_kind kind, struct header_node *node,
    struct header_node *other)
{
	if (f->nops == f->ops_cap) {
		f->ops_cap = f->ops_cap == 0 ? 8 : 2 * f->ops_cap;
		f->ops = xreallocarray(f->ops, f->ops_cap, sizeof(*f->ops));
	}
	f->ops[f->nops++] = (struct field_op){ kind, node, other, false };
}

void
edit_fields_insert(
    struct edit_fields *f, uint32_t index, struct header_node *node)
{
	size_t at;

	view_make(f);
	at = index < f->nview ? index : f->nview;
	op_add(f, FIELD_INSERT, node, at < f->nview ? f->view[at] : NULL);
	view_reserve(f);
	memmove(&f->view[at + 1], &f->view[at],
	    (f->nview - at) * sizeof(struct header_node *));
	f->view[at] = node;
	f->nview++;
}

void
edit_fields_change(
    struct edit_fields *f, uint32_t index, struct header_node *node)
{
	size_t at = view_find(f, index, node->name);

	if (at == f->nview)
		edit_fields_insert(f, UINT32_MAX, node);
	else
		op_add(f, FIELD_CHANGE, f->view[at], node);
}

void
edit_fields_delete(struct edit_fields *f, uint32_t index, struct str name)
{
	size_t at = view_find(f, index, name);

	if (at == f->nview)
		return;
	op_add(f, FIELD_DELETE, f->view[at], NULL);
	f->nview--;
	memmove(&f->view[at], &f->view[at + 1],
	    (f->nview - at) * sizeof(struct header_node *));
}

/* --- for good --- */

size_t
edit_fields_bytes(const struct edit_fields *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->nops; i++) {
		const struct field_op *op = &f->ops[i];

		n += op->kind == FIELD_INSERT ? op->node->raw.len :
		     op->kind == FIELD_CHANGE ? op->other->raw.len :
						0;
	}
	return n;
}

static void
op_apply(struct headers *h, struct field_op *op)
{
	switch (op->kind) {
	case FIELD_INSERT:
		if (op->other == NULL)
			TAILQ_INSERT_TAIL(&h->list, op->node, entry);
		else
			TAILQ_INSERT_BEFORE(op->other, op->node, entry);
		break;
	case FIELD_CHANGE:
		header_node_take(op->node, op->other);
		op->node->deleted = false;
		break;
	case FIELD_DELETE:
		op->node->deleted = true;
		break;
	}
	op->done = true;
}

void
edit_fields_apply(struct edit_fields *f, uint32_t number, uint32_t first,
    void (*conflict)(void *ctx, const struct header_node *n), void *ctx)
{
	for (size_t i = 0; i < f->nops; i++) {
		struct field_op *op = &f->ops[i];
		uint32_t by = op->node->changed_by;

		if (by != 0 && by >= first && by != number && conflict != NULL)
			conflict(ctx, op->node);
		op_apply(f->headers, op);
		op->node->changed_by = number;
	}
	if (f->nops == 0)
		return;
	f->headers->changed = true;
	headers_count(f->headers);
}
