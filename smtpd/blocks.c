/*
 * The administrator's entries lie sorted: by family, then the longest networks
 * first, then by address. Those of one length are a span; a lookup masks the
 * address for each span and searches it, so that a flood of connections costs
 * a few comparisons each, however long the list is.
 */
#include "smtpd/blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum { SPANS_MAX = 33 + 129, WHY_MAX = 700, REPLY_MAX = 600 };

struct block {
	struct addr_net net;
	uint8_t kind; /* enum block_kind */
	uint64_t until_ms;
	char *reason; /* owned */
};

struct span {
	size_t first, n;
	uint8_t family, bits;
};

struct list {
	struct block *blocks; /* owned */
	size_t n, wanted;     /* wanted: that are to come */
	struct span spans[SPANS_MAX];
	size_t nspans;
};

static struct list held, coming;

static void
list_clear(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->blocks[i].reason);
	free(l->blocks);
	memset(l, 0, sizeof(*l));
}

/* --- the list comes in --- */

static int
net_cmp(const struct addr_net *a, const struct addr_net *b)
{
	if (a->addr.family != b->addr.family)
		return a->addr.family < b->addr.family ? -1 : 1;
	if (a->bits != b->bits)
		return a->bits > b->bits ? -1 : 1;
	return memcmp(a->addr.bytes, b->addr.bytes, sizeof(a->addr.bytes));
}

static int
block_cmp(const void *a, const void *b)
{
	return net_cmp(
	    &((const struct block *)a)->net, &((const struct block *)b)->net);
}

static void
make_spans(struct list *l)
{
	struct span *s = NULL;

	l->nspans = 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct addr_net *net = &l->blocks[i].net;

		if (s == NULL || s->family != net->addr.family ||
		    s->bits != net->bits) {
			s = &l->spans[l->nspans++];
			*s = (struct span){ i, 0, net->addr.family, net->bits };
		}
		s->n++;
	}
}

/* All are there. */
static void
take_over(void)
{
	if (coming.n > 0)
		qsort(
		    coming.blocks, coming.n, sizeof(*coming.blocks), block_cmp);
	make_spans(&coming);
	list_clear(&held);
	held = coming;
	coming = (struct list){ 0 };
	log_debug(NULL, "blocks", "entries=%zu", held.n);
}

void
blocks_begin(uint32_t count)
{
	list_clear(&coming);
	coming.wanted = count;
	if (count == 0)
		take_over();
	else
		coming.blocks = xcalloc(count, sizeof(*coming.blocks));
}

/* The first that is not before it. */
static size_t
place_of(const struct block *b)
{
	size_t low = 0, high = held.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (block_cmp(&held.blocks[mid], b) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
remove_at(size_t i)
{
	free(held.blocks[i].reason);
	held.n--;
	memmove(held.blocks + i, held.blocks + i + 1,
	    (held.n - i) * sizeof(*held.blocks));
}

static void
insert_at(size_t i, const struct block *b)
{
	held.blocks =
	    xreallocarray(held.blocks, held.n + 1, sizeof(*held.blocks));
	memmove(held.blocks + i + 1, held.blocks + i,
	    (held.n - i) * sizeof(*held.blocks));
	held.blocks[i] = *b;
	held.n++;
}

/* Takes b's reason. */
static void
change(struct block *b)
{
	size_t i = place_of(b);

	if (i < held.n && block_cmp(&held.blocks[i], b) == 0)
		remove_at(i);
	if (b->until_ms == 0 || b->until_ms > clock_wall_ms())
		insert_at(i, b);
	else
		free(b->reason);
	make_spans(&held);
}

void
blocks_add(const struct tell_block *m)
{
	struct block b = { .kind = m->kind, .until_ms = m->until_ms };
	bool bad = addr_net_parse(m->network, &b.net) == -1;

	if (bad)
		log_warn(NULL, "blocks", "network=%s why=malformed",
		    log_str(m->network));
	else
		b.reason = str_dup(m->reason);
	if (coming.wanted > 0) {
		if (!bad)
			coming.blocks[coming.n++] = b;
		if (--coming.wanted == 0)
			take_over();
	} else if (!bad) {
		change(&b);
	}
}

void
blocks_clear(void)
{
	list_clear(&held);
	list_clear(&coming);
}

/* --- looking --- */

static void
mask(struct addr_net *n, uint8_t bits)
{
	unsigned int whole = bits / 8;

	n->bits = bits;
	if (bits % 8 != 0)
		n->addr.bytes[whole++] &= (uint8_t)(0xff00 >> bits % 8);
	memset(n->addr.bytes + whole, 0, sizeof(n->addr.bytes) - whole);
}

/* The longest network that has it; NULL: none. */
static const struct block *
find(const struct addr *a)
{
	struct block like = { .net = { .addr = *a } };

	for (size_t i = 0; i < held.nspans; i++) {
		const struct span *s = &held.spans[i];
		const struct block *b;

		if (s->family != a->family)
			continue;
		/* Ever shorter, so what is masked stays masked. */
		mask(&like.net, s->bits);
		b = bsearch(&like, held.blocks + s->first, s->n,
		    sizeof(*held.blocks), block_cmp);
		if (b != NULL &&
		    (b->until_ms == 0 || b->until_ms > clock_wall_ms()))
			return b;
	}
	return NULL;
}

/* What the configuration says: the longer network of its two tables, of equal
 * ones that which allows. *bits: of it, -1: none. */
static enum blocks_verdict
find_in_config(const struct config *c, const struct addr *a, int *bits)
{
	int allow = c->allow_from == NULL ?
			-1 :
			table_find_network(c->allow_from, a, NULL);
	int deny = c->deny_from == NULL ?
		       -1 :
		       table_find_network(c->deny_from, a, NULL);

	*bits = allow >= deny ? allow : deny;
	if (*bits < 0)
		return BLOCKS_NOTHING;
	return allow >= deny ? BLOCKS_ALLOW : BLOCKS_DENY;
}

static const char *
text_of(const struct addr *a, int bits, const char *kind, const char *reason)
{
	static char why[WHY_MAX];
	struct addr_net n = { .addr = *a };
	char text[ADDR_TEXT_MAX];

	n.addr.scope = 0;
	mask(&n, (uint8_t)bits);
	snprintf(why, sizeof(why), "%s %s/%d%s%s", kind,
	    addr_format(&n.addr, text), bits, *reason == '\0' ? "" : ": ",
	    reason);
	return why;
}

enum blocks_verdict
blocks_find(const struct config *c, const struct addr *client,
    const char **reply, const char **why)
{
	static char text[REPLY_MAX];
	const struct block *b;
	enum blocks_verdict verdict;
	int bits;

	*reply = *why = NULL;
	if (client->family != ADDR_V4 && client->family != ADDR_V6)
		return BLOCKS_NOTHING;
	verdict = find_in_config(c, client, &bits);
	b = find(client);
	if (b != NULL && b->net.bits >= bits)
		verdict = b->kind == BLOCK_ALLOW ? BLOCKS_ALLOW : BLOCKS_DENY;
	else
		b = NULL;
	if (verdict == BLOCKS_NOTHING)
		return verdict;
	*why = text_of(client, b != NULL ? b->net.bits : bits,
	    b != NULL ? "entry" : "configured", b != NULL ? b->reason : "");
	if (verdict == BLOCKS_DENY) {
		/* A configuration may be gone before the next call. */
		snprintf(text, sizeof(text), "%s",
		    c->deny_reply != NULL ? c->deny_reply :
					    "554 5.7.1 Access denied");
		*reply = text;
	}
	return verdict;
}
