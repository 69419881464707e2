/* The header block as a list; split by the one iterator of lib/mail. */
#include "milters/client/headers.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/mail/header.h"

void
headers_init(struct headers *h, struct str block, size_t ours)
{
	struct header_field f;
	size_t pos = 0;

	memset(h, 0, sizeof(*h));
	TAILQ_INIT(&h->list);
	while (header_next(block, &pos, &f)) {
		struct header_node *n = xcalloc(1, sizeof(*n));

		n->raw = f.raw;
		n->name = f.name;
		n->value = f.value;
		n->ours = pos <= ours;
		TAILQ_INSERT_TAIL(&h->list, n, entry);
	}
	h->rest = str_skip(block, pos);
	headers_count(h);
}

void
headers_clear(struct headers *h)
{
	struct header_node *n;

	while ((n = TAILQ_FIRST(&h->list)) != NULL) {
		TAILQ_REMOVE(&h->list, n, entry);
		header_node_free(&n);
	}
	h->rest = STR("");
	h->count = h->bytes = h->longest = 0;
}

void
headers_count(struct headers *h)
{
	const struct header_node *n;

	h->count = h->bytes = h->longest = 0;
	TAILQ_FOREACH(n, &h->list, entry) {
		if (n->deleted)
			continue;
		h->count++;
		h->bytes += n->raw.len;
		if (!n->ours && n->raw.len > h->longest)
			h->longest = n->raw.len;
	}
}

const struct header_node *
headers_next(const struct headers *h, const struct header_node *prev)
{
	const struct header_node *n =
	    prev == NULL ? TAILQ_FIRST(&h->list) : TAILQ_NEXT(prev, entry);

	while (n != NULL && (n->ours || n->deleted))
		n = TAILQ_NEXT(n, entry);
	return n;
}

void
headers_format(const struct headers *h, struct buf *out)
{
	const struct header_node *n;
	bool open = false; /* the last field of content that was cut off */

	TAILQ_FOREACH(n, &h->list, entry) {
		if (n->deleted)
			continue;
		if (open)
			buf_add_str(out, STR("\r\n"));
		buf_add_str(out, n->raw);
		open = n->raw.p[n->raw.len - 1] != '\n';
	}
	if (open && h->rest.len > 0)
		buf_add_str(out, STR("\r\n"));
	buf_add_str(out, h->rest);
}

void
header_value_for_filter(
    const struct header_node *n, bool lead_space, struct buf *out)
{
	struct str v = n->value;

	if (!lead_space && v.len > 0 && v.p[0] == ' ')
		v = str_skip(v, 1);
	while (v.len > 0) {
		size_t cr = str_find(v, '\r');
		bool is_end = cr + 1 < v.len && v.p[cr + 1] == '\n';

		buf_add_str(out, str_head(v, is_end ? cr : cr + 1));
		v = str_skip(v, cr + 1);
	}
}

struct header_node *
header_node_new(char *owned, size_t len, size_t name_len)
{
	struct header_node *n = xcalloc(1, sizeof(*n));

	n->owned = owned;
	n->raw = (struct str){ owned, len };
	n->name = str_head(n->raw, name_len);
	n->value = str_skip(str_head(n->raw, len - 2), name_len + 1);
	return n;
}

void
header_node_free(struct header_node **n)
{
	if (*n == NULL)
		return;
	free((*n)->owned);
	free(*n);
	*n = NULL;
}

void
header_node_take(struct header_node *n, struct header_node *from)
{
	free(n->owned);
	n->owned = from->owned;
	n->raw = from->raw;
	n->name = from->name;
	n->value = from->value;
	from->owned = NULL;
}
