/* An entry is in force at once, and said to be when it is on disk. */
#include "queue/blocking.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/block_list.h"
#include "queue/queue.h"

/* --- changes --- */

struct blocking {
	struct asking asking; /* the first member */
	bool failed;
};

static bool
step(struct asking *a)
{
	struct blocking *b = (struct blocking *)a;
	struct answer_done m = {
		.code = ANSWER_OK, .matched = 1, .changed = 1
	};

	if (b->failed) {
		m.code = ANSWER_UNAVAILABLE;
		m.text = STR("it holds now, but is not on disk yet");
	}
	channel_tell(a->peer->channel, TYPE_answer_done, &m, a->id);
	return true;
}

static void
blocking_free(struct asking *a)
{
	free(a);
}

static void
on_saved(void *ctx, const struct fault *why)
{
	struct blocking *b = ctx;

	b->failed = why != NULL;
	asking_wake(&b->asking);
}

static void
save(struct control_peer *p, uint64_t id)
{
	struct blocking *b = xcalloc(1, sizeof(*b));

	b->asking.waiting = true;
	b->asking.step = step;
	b->asking.free = blocking_free;
	asking_start(&b->asking, p, id);
	blocks_save(p->q, on_saved, b);
}

/* It stands in a line of a file. */
static bool
is_one_line(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

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
	if (!is_one_line(m->reason)) {
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
	save(p, id);
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
	save(p, id);
}

/* --- the list --- */

struct block_listing {
	struct asking asking; /* the first member */
	struct addr_net last;
	uint64_t n;
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
step_list(struct asking *a)
{
	struct block_listing *l = (struct block_listing *)a;
	struct answer_done done = { .code = ANSWER_OK };
	const struct block *b;

	while (!channel_is_full(a->peer->channel)) {
		b = blocks_next(
		    &a->peer->q->blocks, l->n > 0 ? &l->last : NULL);
		if (b == NULL) {
			done.matched = l->n;
			channel_tell(
			    a->peer->channel, TYPE_answer_done, &done, a->id);
			return true;
		}
		tell_row(a, b);
		l->last = b->net;
		l->n++;
	}
	return false;
}

void
blocking_list(struct control_peer *p, uint64_t id)
{
	struct block_listing *l = xcalloc(1, sizeof(*l));

	l->asking.step = step_list;
	l->asking.free = blocking_free;
	asking_start(&l->asking, p, id);
}
