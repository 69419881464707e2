/*
 * The file: a line "postern blocks 1 CRC", then a line each,
 * "deny 192.0.2.0/24 SINCE UNTIL UID REASON"; times are milliseconds, the CRC
 * (CRC-32C, hexadecimal) is of the lines behind the first.
 */
#include "queue/block_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/from_smtpd.h"
#include "queue/queue.h"

enum {
	LOOK_MS = 30000, /* the wall clock may jump */
	NET_TEXT_MAX = 64
};

static const struct side_text file = { "blocks", "postern blocks 1 ", NULL };

static int
block_cmp(const struct block *a, const struct block *b)
{
	if (a->net.addr.family != b->net.addr.family)
		return a->net.addr.family < b->net.addr.family ? -1 : 1;
	int c = memcmp(
	    a->net.addr.bytes, b->net.addr.bytes, sizeof(a->net.addr.bytes));
	if (c != 0)
		return c;
	return a->net.bits < b->net.bits ? -1 : a->net.bits > b->net.bits;
}

TREE_DEFINE(block_tree, block, node, block_cmp)

static struct block_tree *
tree_of(const struct blocks *bs)
{
	return (struct block_tree *)(uintptr_t)&bs->tree;
}

const char *
blocks_format_net(const struct addr_net *n, char out[static NET_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];

	snprintf(out, NET_TEXT_MAX, "%.50s/%u", addr_format(&n->addr, text),
	    (unsigned int)n->bits);
	return out;
}

static const char *
kind_of(const struct block *b)
{
	return b->allow ? "allow" : "deny";
}

static bool
is_over(const struct block *b, uint64_t now_ms)
{
	return b->until_ms != 0 && b->until_ms <= now_ms;
}

/* --- what smtpds are told --- */

/* until_ms: 1: it is gone. */
static void
tell(struct smtpd_peer *p, const struct block *b, uint64_t until_ms)
{
	char text[NET_TEXT_MAX];
	struct tell_block m = {
		.kind = b->allow ? BLOCK_ALLOW : BLOCK_DENY,
		.network = str_of(blocks_format_net(&b->net, text)),
		.until_ms = until_ms,
		.reason = str_of(b->reason),
	};

	channel_tell(p->channel, TYPE_tell_block, &m, 0);
}

static void
tell_change(struct queue *q, const struct block *b, uint64_t until_ms)
{
	struct smtpd_peer *p;

	if (!q->started)
		return;
	LIST_FOREACH(p, &q->smtpds, next)
		tell(p, b, until_ms);
}

void
blocks_tell_all(struct queue *q, struct smtpd_peer *p)
{
	struct tell_blocks m = { .count = (uint32_t)q->blocks.n };
	struct block *b;

	channel_tell(p->channel, TYPE_tell_blocks, &m, 0);
	RB_FOREACH(b, block_tree, &q->blocks.tree)
		tell(p, b, b->until_ms);
}

/* --- time --- */

static void
forget(struct queue *q, struct block *b)
{
	RB_REMOVE(block_tree, &q->blocks.tree, b);
	q->blocks.n--;
	tell_change(q, b, 1);
	free(b);
}

static void
set_timer(struct queue *q)
{
	uint64_t now = clock_wall_ms(), wait = UINT64_MAX;
	struct block *b;

	RB_FOREACH(b, block_tree, &q->blocks.tree) {
		uint64_t left = b->until_ms > now ? b->until_ms - now : 0;

		if (b->until_ms != 0 && left < wait)
			wait = left;
	}
	if (wait == UINT64_MAX)
		timer_stop(q->blocks.timer);
	else
		timer_set(q->blocks.timer, wait < LOOK_MS ? wait : LOOK_MS);
}

/* What is over is left out of the file when that is next written. */
static void
on_time(void *ctx)
{
	struct queue *q = ctx;
	uint64_t now = clock_wall_ms();
	struct block *b, *next;
	char text[NET_TEXT_MAX];

	RB_FOREACH_SAFE(b, block_tree, &q->blocks.tree, next) {
		if (!is_over(b, now))
			continue;
		log_info(NULL, "block-expired", "network=%s kind=%s",
		    log_cstr(blocks_format_net(&b->net, text)), kind_of(b));
		forget(q, b);
	}
	set_timer(q);
}

/* --- entries --- */

static struct block *
add(struct blocks *to, const struct block *like, struct str reason)
{
	struct block *b = xcalloc(1, sizeof(*b) + reason.len + 1);

	memcpy(b, like, sizeof(*b));
	if (reason.len > 0)
		memcpy(b->reason, reason.p, reason.len);
	b->reason[reason.len] = '\0';
	RB_INSERT(block_tree, &to->tree, b);
	to->n++;
	return b;
}

static struct block *
find(struct blocks *b, const struct addr_net *net)
{
	struct block like = { .net = *net };

	return RB_FIND(block_tree, &b->tree, &like);
}

int
blocks_set(struct queue *q, const struct block *like, struct str reason)
{
	struct block *old = find(&q->blocks, &like->net);

	if (old == NULL && q->blocks.n >= BLOCKS_MAX)
		return -1;
	if (old != NULL) {
		RB_REMOVE(block_tree, &q->blocks.tree, old);
		q->blocks.n--;
		free(old);
	}
	const struct block *b = add(&q->blocks, like, reason);
	tell_change(q, b, b->until_ms);
	set_timer(q);
	return 0;
}

int
blocks_del(struct queue *q, const struct addr_net *net)
{
	struct block *b = find(&q->blocks, net);

	if (b == NULL)
		return -1;
	forget(q, b);
	set_timer(q);
	return 0;
}

const struct block *
blocks_next(const struct blocks *b, const struct addr_net *after)
{
	struct block like, *at;

	if (after == NULL)
		return RB_MIN(block_tree, tree_of(b));
	like.net = *after;
	at = RB_NFIND(block_tree, tree_of(b), &like);
	if (at != NULL && block_cmp(at, &like) == 0)
		at = RB_NEXT(block_tree, tree_of(b), at);
	return at;
}

/* --- the file, written --- */

static void
format_all(const struct queue *q, struct buf *out)
{
	uint64_t now = clock_wall_ms();
	char text[NET_TEXT_MAX];
	struct block *b;

	RB_FOREACH(b, block_tree, tree_of(&q->blocks))
		if (!is_over(b, now))
			buf_addf(out,
			    "%s %s %" PRIu64 " %" PRIu64 " %" PRIu32 " %s\n",
			    kind_of(b), blocks_format_net(&b->net, text),
			    b->since_ms, b->until_ms, b->uid, b->reason);
}

void
blocks_save(struct queue *q, side_file_fn *fn, void *ctx)
{
	side_list_save(&q->blocks.list, fn, ctx);
}

void
blocks_init(struct queue *q)
{
	RB_INIT(&q->blocks.tree);
	q->blocks.timer = timer_new(q->loop, on_time, q);
	side_list_init(&q->blocks.list, q, &file, format_all);
}

/* --- the file, read --- */

static int
parse_entry(struct str line, struct block *out, struct str *reason)
{
	struct str kind = str_cut(&line, ' '), net = str_cut(&line, ' ');
	struct str since = str_cut(&line, ' '), until = str_cut(&line, ' ');
	struct str uid = str_cut(&line, ' ');
	uint64_t n;

	*out = (struct block){ .allow = str_eq(kind, STR("allow")) };
	*reason = line;
	if ((!out->allow && !str_eq(kind, STR("deny"))) ||
	    addr_net_parse(net, &out->net) == -1 ||
	    str_to_u64(since, UINT64_MAX, &out->since_ms) == -1 ||
	    str_to_u64(until, UINT64_MAX, &out->until_ms) == -1 ||
	    str_to_u64(uid, UINT32_MAX, &n) == -1 ||
	    reason->len > BLOCK_REASON_MAX)
		return -1;
	out->uid = (uint32_t)n;
	return 0;
}

static int
load_entry(void *ctx, struct str line)
{
	struct blocks *bs = ctx;
	struct str reason;
	struct block b;

	if (bs->n == BLOCKS_MAX || parse_entry(line, &b, &reason) == -1 ||
	    find(bs, &b.net) != NULL)
		return -1;
	if (!is_over(&b, clock_wall_ms()))
		add(bs, &b, reason);
	return 0;
}

static void
clear(struct blocks *bs)
{
	struct block *b;

	while ((b = RB_MIN(block_tree, &bs->tree)) != NULL) {
		RB_REMOVE(block_tree, &bs->tree, b);
		free(b);
	}
	bs->n = 0;
}

void
blocks_load(struct queue *q)
{
	if (side_text_load(q->store, &file, load_entry, &q->blocks) == -1)
		clear(&q->blocks);
	if (q->blocks.n > 0)
		log_info(NULL, "blocks", "entries=%zu", q->blocks.n);
	set_timer(q);
}
