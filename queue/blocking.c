/* An entry is in force at once, and said to be when it is on disk. */
#include "queue/blocking.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/block_list.h"
#include "queue/queue.h"
#include "queue/saved.h"
#include "queue/side_text.h"

/* --- changes --- */

static void
log_change(const char *event, const struct addr_net *net, uint32_t uid,
    const struct ask_block *m)
{
	char text[64];

	blocks_format_net(net, text);
	if (m == NULL)
		log_info(NULL, event, "network=%s uid=%u", log_cstr(text), uid);
	else
		log_info(NULL, event,
		    "network=%s kind=%s uid=%u seconds=%llu reason=%s",
		    log_cstr(text), m->allow ? "allow" : "deny", uid,
		    (unsigned long long)(m->duration_ms / 1000),
		    log_str(m->reason));
}

void
blocking_block(struct control_peer *p, uint64_t id, const struct ask_block *m)
{
	uint64_t now = clock_wall_ms();
	struct block b = { .allow = m->allow, .since_ms = now, .uid = m->uid };

	if (addr_net_parse(m->network, &b.net) == -1) {
		answer(p, id, ANSWER_REFUSED_IT, "not an address or network");
		return;
	}
	if (!side_text_is_line(m->reason)) {
		answer(p, id, ANSWER_REFUSED_IT, "the reason is not one line");
		return;
	}
	if (m->duration_ms > 0)
		b.until_ms = m->duration_ms < UINT64_MAX - now ?
				 now + m->duration_ms :
				 UINT64_MAX;
	if (blocks_set(p->q, &b, m->reason) == -1) {
		answer(p, id, ANSWER_REFUSED_IT, "there are too many entries");
		return;
	}
	log_change("block", &b.net, m->uid, m);
	saved_answer(p, id, blocks_save, 1);
}

void
blocking_unblock(
    struct control_peer *p, uint64_t id, const struct ask_unblock *m)
{
	struct addr_net net;

	if (addr_net_parse(m->network, &net) == -1) {
		answer(p, id, ANSWER_REFUSED_IT, "not an address or network");
		return;
	}
	if (blocks_del(p->q, &net) == -1) {
		answer(p, id, ANSWER_NOT_FOUND,
		    "there is no entry for this network");
		return;
	}
	log_change("unblock", &net, m->uid, NULL);
	saved_answer(p, id, blocks_save, 1);
}

/* --- the list --- */

struct block_listing {
	struct row_listing rows; /* the first member */
	struct addr_net last;
};

static void
tell_row(const struct asking *a, const struct block *b)
{
	char text[64];
	struct row_block row = {
		.network = str_of(blocks_format_net(&b->net, text)),
		.allow = b->allow,
		.since_ms = b->since_ms,
		.until_ms = b->until_ms,
		.reason = str_of(b->reason),
		.uid = b->uid,
	};

	channel_tell(a->peer->channel, TYPE_row_block, &row, a->id);
}

/* Behind the last one that was told, whatever became of that. */
static bool
next_row(struct row_listing *rows)
{
	struct block_listing *l = (struct block_listing *)rows;
	const struct block *b = blocks_next(
	    &rows->asking.peer->q->blocks, rows->n > 0 ? &l->last : NULL);

	if (b == NULL)
		return false;
	tell_row(&rows->asking, b);
	l->last = b->net;
	return true;
}

void
blocking_list(struct control_peer *p, uint64_t id)
{
	struct block_listing *l = xcalloc(1, sizeof(*l));

	row_listing_start(&l->rows, p, id, next_row);
}
