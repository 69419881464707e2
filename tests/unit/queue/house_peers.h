/* What smtpd, the agent and control hear from the queue, into `t'. */
#ifndef POSTERN_TESTS_UNIT_QUEUE_HOUSE_PEERS_H
#define POSTERN_TESTS_UNIT_QUEUE_HOUSE_PEERS_H

#include "tests/unit/queue/house_seen.h"

/* --- smtpd --- */

static inline void
on_space(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx, (void)ch, (void)id;
	t.space = ((const struct tell_space *)msg)->state;
}

static inline void copy(char *out, size_t size, struct str s);

static uint32_t asked_size; /* bytes of content that are to come */

static inline void
on_ask_filter(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_filter *m = msg;

	(void)ctx, (void)ch;
	t.asked_id = id;
	t.asked_why = m->why;
	t.asked_has_file = m->has_file;
	t.asked_body_size = m->body_size;
	t.body = -1;
	copy(t.asked_msgid, sizeof(t.asked_msgid), m->msgid);
	copy(t.asked_context, sizeof(t.asked_context), m->context);
	t.asked_rcpts[0] = t.asked_content[0] = '\0';
	asked_size = m->inline_size;
}

static inline void
on_asked_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_rcpt *m = msg;
	size_t n = strlen(t.asked_rcpts);

	(void)ctx, (void)ch;
	ck_assert_uint_eq(id, t.asked_id);
	snprintf(t.asked_rcpts + n, sizeof(t.asked_rcpts) - n, "(%.*s %.*s %u)",
	    (int)m->to.len, m->to.p, (int)m->action.len, m->action.p,
	    (unsigned int)m->start);
}

static inline void
on_asked_body(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx, (void)ch;
	ck_assert_uint_eq(id, t.asked_id);
	t.body = ((const struct tell_body *)msg)->file;
}

static inline void
on_asked_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_content *m = msg;

	(void)ctx, (void)ch;
	ck_assert_uint_eq(id, t.asked_id);
	copy(t.asked_content, sizeof(t.asked_content), m->bytes);
	ck_assert_uint_eq(m->bytes.len, asked_size);
	t.nasked++;
	seen();
}

/* Who may come in, as smtpd hears it: "all 2:" before a list, then
 * " deny NET reason", or " gone NET". */
static inline void
on_blocks(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_blocks *m = msg;
	size_t n = strlen(t.told);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.told + n, sizeof(t.told) - n, "all %u:", m->count);
}

static inline void
on_block(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_block *m = msg;
	size_t n = strlen(t.told);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.told + n, sizeof(t.told) - n, " %s %.*s%s%.*s",
	    m->until_ms == 1       ? "gone" :
	    m->kind == BLOCK_ALLOW ? "allow" :
				     "deny",
	    (int)m->network.len, m->network.p, m->reason.len > 0 ? " " : "",
	    (int)m->reason.len, m->reason.p);
	t.ntold++;
	seen();
}

/* " paused" or " open", after each other. */
static inline void
on_paused(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_paused *m = msg;
	size_t n = strlen(t.pauses);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.pauses + n, sizeof(t.pauses) - n, "%s",
	    m->paused ? " paused" : " open");
	t.npauses++;
	seen();
}

static const struct handler smtpd_handlers[] = {
	{ TYPE_tell_paused, on_paused },
	{ TYPE_tell_space, on_space },
	{ TYPE_tell_blocks, on_blocks },
	{ TYPE_tell_block, on_block },
	{ TYPE_ask_filter, on_ask_filter },
	{ TYPE_tell_rcpt, on_asked_rcpt },
	{ TYPE_tell_body, on_asked_body },
	{ TYPE_tell_content, on_asked_content },
	{ 0, NULL },
};

static inline struct got *
got_of(uint64_t id)
{
	for (int i = 0; i < t.ngot; i++)
		if (t.got[i].id == id)
			return &t.got[i];
	ck_abort_msg("a part of no work");
}

static inline void
copy(char *out, size_t size, struct str s)
{
	ck_assert_uint_lt(s.len, size);
	memcpy(out, s.p, s.len);
	out[s.len] = '\0';
}

static int nwhole; /* works that came with all their parts */

static inline void
check_whole(struct got *g)
{
	if (g->nrcpts == g->head.nrcpt && g->len == g->head.inline_size &&
	    (!g->head.in_file || g->file != -1))
		nwhole++;
	seen();
}

static inline void
on_work(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work *m = msg;
	struct got *g = &t.got[t.ngot++];

	(void)ctx, (void)ch;
	ck_assert_int_le(t.ngot, 8);
	*g = (struct got){ .id = id, .head = *m, .file = -1 };
	copy(g->msgid, sizeof(g->msgid), m->msgid);
	copy(g->action, sizeof(g->action), m->action);
	copy(g->hops, sizeof(g->hops), m->hops);
	copy(g->envid, sizeof(g->envid), m->envid);
}

static inline void
on_work_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_rcpt *m = msg;
	struct got *g = got_of(id);

	(void)ctx, (void)ch;
	g->rcpts[g->nrcpts].index = m->index;
	g->rcpts[g->nrcpts].attempts = m->attempts;
	g->rcpts[g->nrcpts].notify = m->notify;
	copy(g->rcpts[g->nrcpts].orcpt, 100, m->orcpt);
	copy(g->rcpts[g->nrcpts++].to, 100, m->to);
}

static inline void
on_work_file(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx, (void)ch;
	got_of(id)->file = ((const struct tell_work_file *)msg)->file;
}

static inline void
on_work_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_work_content *m = msg;
	struct got *g = got_of(id);

	(void)ctx, (void)ch;
	ck_assert_uint_lt(g->len + m->bytes.len, sizeof(g->content));
	memcpy(g->content + g->len, m->bytes.p, m->bytes.len);
	g->len += m->bytes.len;
	check_whole(g);
}

static const struct handler agent_handlers[] = {
	{ TYPE_tell_work, on_work },
	{ TYPE_tell_work_rcpt, on_work_rcpt },
	{ TYPE_tell_work_file, on_work_file },
	{ TYPE_tell_work_content, on_work_content },
	{ 0, NULL },
};

static inline void
on_row_message(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_message *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.rows + n, sizeof(t.rows) - n, "[%.*s %u]", (int)m->from.len,
	    m->from.p, (unsigned int)m->state);
}

static inline void
on_row_rcpt(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_rcpt *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.rows + n, sizeof(t.rows) - n, "(%.*s %u %u %.*s)",
	    (int)m->to.len, m->to.p, (unsigned int)m->state, m->attempts,
	    (int)m->reply.len, m->reply.p);
}

static inline void
on_row_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_content *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.rows + n, sizeof(t.rows) - n, "%.*s", (int)m->bytes.len,
	    m->bytes.p);
}

static inline void
on_row_stat(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_stat *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.rows + n, sizeof(t.rows) - n, "%.*s=%llu ", (int)m->name.len,
	    m->name.p, (unsigned long long)m->value);
}

static inline void
on_row_destination(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_destination *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.rows + n, sizeof(t.rows) - n,
	    "(%.*s %.*s %u %u %u%s%s %.*s)", (int)m->destination.len,
	    m->destination.p, (int)m->action.len, m->action.p,
	    (unsigned int)m->queued, (unsigned int)m->active,
	    (unsigned int)m->window, m->backoff_ms > 0 ? " rests" : "",
	    m->paused ? " paused" : "", (int)m->reply.len, m->reply.p);
}

static inline void
on_row_quarantined(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_quarantined *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	t.quarantined_since = m->since_ms;
	t.quarantined_expires = m->expires_ms;
	snprintf(t.rows + n, sizeof(t.rows) - n, "[%.*s %.*s: %.*s]",
	    (int)m->from.len, m->from.p, (int)m->filter.len, m->filter.p,
	    (int)m->reason.len, m->reason.p);
}

static inline void
on_row_event(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_event *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	snprintf(t.rows + n, sizeof(t.rows) - n, "%.*s %.*s\n",
	    (int)m->event.len, m->event.p, (int)m->text.len, m->text.p);
}

static inline void
on_row_block(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_block *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	t.nblocks++;
	snprintf(t.rows + n, sizeof(t.rows) - n, "%s %.*s %u %s%.*s\n",
	    m->allow ? "allow" : "deny", (int)m->network.len, m->network.p,
	    m->uid, m->until_ms == 0 ? "" : "ends ", (int)m->reason.len,
	    m->reason.p);
}

static inline void
on_row_pause(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_pause *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	ck_assert_uint_ne(m->since_ms, 0);
	snprintf(t.rows + n, sizeof(t.rows) - n, "%u %.*s %u %.*s\n",
	    (unsigned int)m->what, (int)m->domain.len, m->domain.p, m->uid,
	    (int)m->reason.len, m->reason.p);
}

/* "remove 2 7 reason until": the last word only while it can be undone. */
static inline void
on_row_operation(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_operation *m = msg;
	size_t n = strlen(t.rows);

	(void)ctx, (void)ch, (void)id;
	ck_assert_uint_ne(m->when_ms, 0);
	t.operation = m->operation;
	snprintf(t.rows + n, sizeof(t.rows) - n, "%.*s %llu %u %.*s%s\n",
	    (int)m->change.len, m->change.p, (unsigned long long)m->changed,
	    m->uid, (int)m->reason.len, m->reason.p,
	    m->until_ms > clock_wall_ms() ? " until" : "");
}

static const struct handler control_handlers[] = {
	{ TYPE_row_pause, on_row_pause },
	{ TYPE_row_operation, on_row_operation },
	{ TYPE_row_block, on_row_block },
	{ TYPE_row_quarantined, on_row_quarantined },
	{ TYPE_row_event, on_row_event },
	{ TYPE_row_destination, on_row_destination },
	{ TYPE_row_message, on_row_message },
	{ TYPE_row_rcpt, on_row_rcpt },
	{ TYPE_row_content, on_row_content },
	{ TYPE_row_stat, on_row_stat },
	{ 0, NULL },
};

static inline void
on_agent_closed(void *ctx, struct channel *ch)
{
	(void)ctx, (void)ch;
	t.agent_closed = true;
}

#endif
