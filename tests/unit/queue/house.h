/*
 * The queue above a real store in a temporary folder, with its channels: the
 * test plays smtpd, the agents and control, all in one loop.
 */
#ifndef POSTERN_TESTS_UNIT_QUEUE_HOUSE_H
#define POSTERN_TESTS_UNIT_QUEUE_HOUSE_H

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edges/control_all.h"
#include "edges/edges.h"
#include "edges/queue_delivery.h"
#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "queue/from_control.h"
#include "queue/from_delivery.h"
#include "queue/from_smtpd.h"
#include "queue/queue.h"
#include "queue/store_impl.h"
#include "queue/work.h"

enum { WATCHDOG_MS = 20000, TEXT = 160000 };

/* What the agent was given. */
struct got {
	uint64_t id;
	struct tell_work head;
	char msgid[ID_LEN + 1], action[65], hops[300], envid[101];

	struct {
		uint32_t index, attempts;
		char to[100], orcpt[100];
		uint8_t notify;
	} rcpts[200];

	uint32_t nrcpts;
	char content[TEXT];
	size_t len;
	int file;
};

static struct {
	struct loop *loop;
	struct timer *watchdog;
	char dir[64];
	struct queue *q;
	struct config *config;
	struct channel *smtpd, *agent, *control;
	bool agent_closed;
	/* smtpd's view */
	uint64_t received_ms; /* of mail handed in; 0: now */
	int naccepted, nrefused, why, space;
	struct answer_bodyfile bodyfile;
	/* what filters are asked about: the last question */
	char told[4000]; /* of blocks */
	int ntold;
	int nasked, nasked_rcpts, body;
	uint64_t asked_id;
	uint8_t asked_why, asked_has_file;
	uint64_t asked_body_size;
	char asked_msgid[ID_LEN + 1], asked_rcpts[1000], asked_content[8000];
	char asked_context[100];
	/* the agent's */
	struct got got[8];
	int ngot;
	/* control's */
	uint64_t quarantined_since, quarantined_expires;
	size_t nblocks;
	char rows[TEXT];
	struct answer_done done;
	bool is_done;
	int until; /* a count to wait for */
	int *counter;
} t;

/* How recipients of mail handed in start, and what is said of it besides. */
static struct {
	enum rcpt_start start;
	bool replaces;
	const char *filter, *reason, *context, *event, *content;
	const char *envid, *orcpt, *user;
	uint32_t flags;
	uint8_t notify;
	enum handover handover; /* of what the agent delivers */
	uint64_t body_size;     /* when there is no body file */
} how;

/* --- waiting --- */

static struct deferred look;

static inline void
on_look(void *ctx)
{
	(void)ctx;
	if (*t.counter >= t.until)
		loop_stop(t.loop);
}

/* Each event handler of the test calls this. */
static inline void
seen(void)
{
	loop_after(t.loop, &look);
}

static inline void
on_watchdog(void *ctx)
{
	(void)ctx;
	ck_abort_msg("nothing happened");
}

static inline void
wait_for(int *counter, int until)
{
	t.counter = counter;
	t.until = until;
	if (*counter >= until)
		return;
	timer_set(t.watchdog, WATCHDOG_MS);
	loop_run(t.loop);
	timer_stop(t.watchdog);
}

/* --- the peers --- */

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

static const struct handler smtpd_handlers[] = {
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
	snprintf(t.rows + n, sizeof(t.rows) - n, "(%.*s %.*s %u %u %u%s %.*s)",
	    (int)m->destination.len, m->destination.p, (int)m->action.len,
	    m->action.p, (unsigned int)m->queued, (unsigned int)m->active,
	    (unsigned int)m->window, m->backoff_ms > 0 ? " rests" : "",
	    (int)m->reply.len, m->reply.p);
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

static const struct handler control_handlers[] = {
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

/* --- set up --- */

static inline struct channel *
connect_to(enum role role, const struct edge *edge, enum edge_end end,
    const struct handler *handlers)
{
	int s[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	if (role == ROLE_SMTPD)
		from_smtpd_add(t.q, 0, s[0]);
	else if (role == ROLE_CONTROL)
		from_control_add(t.q, 0, s[0]);
	else
		from_delivery_add(t.q, role, 0, s[0]);
	return channel_new(
	    t.loop, s[1], edge, end, handlers, on_agent_closed, NULL);
}

static inline void
new_agent(uint32_t capacity)
{
	struct tell_capacity m = { .mails = capacity };

	t.agent = connect_to(
	    ROLE_DELIVERY, &queue_delivery_edge, EDGE_B, agent_handlers);
	channel_tell(t.agent, TYPE_tell_capacity, &m, 0);
}

static inline void
start_queue(void)
{
	struct fault why = { 0 };

	t.q = queue_new(t.loop);
	t.q->spool = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ne(t.q->spool, -1);
	queue_set_config(t.q, t.config);
	t.smtpd =
	    connect_to(ROLE_SMTPD, &smtpd_queue_edge, EDGE_A, smtpd_handlers);
	t.control = connect_to(
	    ROLE_CONTROL, &control_all_edge, EDGE_A, control_handlers);
	ck_assert_msg(queue_start(t.q, &why) == 0, "%s", why.text);
}

static struct action actions[3];

static inline void
setup(void)
{
	memset(&t, 0, sizeof(t));
	memset(&how, 0, sizeof(how));
	nwhole = 0;
	snprintf(t.dir, sizeof(t.dir), "/tmp/postern-queue.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(t.dir));
	t.loop = loop_new();
	t.watchdog = timer_new(t.loop, on_watchdog, NULL);
	deferred_init(&look, on_look, NULL);
	t.config = config_new();
	t.config->queue.segment_size = 1 << 20;
	t.config->queue.disk_reserve = 0;
	t.config->queue.retry_s[0] = 3600;
	t.config->queue.nretry = 1;
	actions[0] = (struct action){ .name = xstrdup("inside"),
		.kind = ACTION_RELAY,
		.hops = xstrdup("smtp://127.0.0.1:2") };
	actions[1] = (struct action){
		.id = 1, .name = xstrdup("drop"), .kind = ACTION_DISCARD
	};
	actions[2] = (struct action){ .id = 2,
		.name = xstrdup("other"),
		.kind = ACTION_RELAY,
		.hops = xstrdup("smtp://127.0.0.1:3") };
	t.config->actions = xcalloc(3, sizeof(struct action));
	memcpy(t.config->actions, actions, sizeof(actions));
	t.config->nactions = 3;
	start_queue();
}

/* As a crash would: what the store did not sync is not there. */
static inline void
stop_queue(bool orderly)
{
	struct agent_peer *a;

	channel_free(&t.smtpd);
	channel_free(&t.control);
	channel_free(&t.agent);
	if (orderly) {
		pace_now(&t.q->pace);
		tls_report_stop(t.q);
	}
	/* It is not freed: nothing of it may come back, nor hear that its
	 * agents are gone. */
	LIST_FOREACH(a, &t.q->agents, next)
		channel_free(&a->channel);
	loop_after_cancel(t.loop, &t.q->run);
	timer_stop(t.q->pace.later);
	loop_after_cancel(t.loop, &t.q->pace.now);
	timer_stop(t.q->reports.timer);
	timer_stop(t.q->blocks.timer);
	timer_stop(t.q->tls_reporting.save);
	timer_stop(t.q->tls_reporting.look);
	loop_after_cancel(t.loop, &t.q->refilter.run);
	timer_stop(t.q->refilter.go_on);
	timer_stop(t.q->due_timer);
	timer_stop(t.q->run_timer);
	store_close(&t.q->store);
	t.ngot = 0;
	nwhole = 0;
}

static inline int
remove_one(const char *path, const struct stat *st, int what, struct FTW *f)
{
	(void)st, (void)what, (void)f;
	return remove(path);
}

static inline void
teardown(void)
{
	stop_queue(false);
	nftw(t.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- mail --- */

static inline void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	ck_assert_ptr_null(fault);
	if (type == TYPE_answer_commit) {
		t.naccepted++;
	} else {
		ck_assert_uint_eq(type, TYPE_answer_refused);
		t.nrefused++;
		t.why = ((const struct answer_refused *)msg)->why;
	}
	seen();
}

static uint64_t bodyfile_number, bodyfile_size;

/* Hands a mail in: to lists "address action" pairs. */
static inline void
send_as(const char *msgid, const char *from, const char *const *to)
{
	const char *content =
	    how.content != NULL ? how.content : "Received: x\r\n\r\nbody\r\n";
	struct ask_commit m = {
		.msgid = str_of(msgid),
		.from = str_of(from),
		.received_ms =
		    t.received_ms != 0 ? t.received_ms : clock_wall_ms(),
		.client = STR("192.0.2.1"),
		.client_name = STR("client.example"),
		.listener = STR("127.0.0.1:25"),
		.header_size = 15,
		.inline_size = (uint32_t)strlen(content),
		.bodyfile = bodyfile_number,
		.body_size =
		    bodyfile_number != 0 ? bodyfile_size : how.body_size,
		.replaces = how.replaces,
		.filter = str_of(how.filter),
		.reason = str_of(how.reason),
		.context = str_of(how.context),
		.flags = how.flags,
		.envid = str_of(how.envid),
		.auth_user = str_of(how.user),
	};
	struct tell_content c = { .bytes = str_of(content) };
	struct tell_event e = { .when_ms = m.received_ms,
		.event = STR("milter"),
		.text = str_of(how.event) };
	uint64_t id;

	if (bodyfile_number != 0 || how.body_size != 0)
		c.bytes.len = m.inline_size = m.header_size;
	while (to[m.nrcpt * 2] != NULL)
		m.nrcpt++;
	id = channel_ask(t.smtpd, TYPE_ask_commit, &m, on_answer, NULL);
	for (; to[0] != NULL; to += 2) {
		struct tell_rcpt r = { .to = str_of(to[0]),
			.action = str_of(to[1]),
			.start = (uint8_t)how.start,
			.notify = how.notify,
			.orcpt = str_of(how.orcpt) };

		channel_tell(t.smtpd, TYPE_tell_rcpt, &r, id);
	}
	if (how.event != NULL)
		channel_tell(t.smtpd, TYPE_tell_event, &e, id);
	channel_tell(t.smtpd, TYPE_tell_content, &c, id);
}

#define MAIL(...) ((const char *const[]){ __VA_ARGS__, NULL })

static char last_id[ID_LEN + 1];

static inline void
send_mail(const char *from, const char *const *to)
{
	id_new(clock_wall_ms(), last_id);
	send_as(last_id, from, to);
}

static inline void
tell_result(struct got *g, uint32_t n, enum outcome outcome, const char *text)
{
	struct tell_result m = {
		.index = g->rcpts[n].index,
		.outcome = (uint8_t)outcome,
		.code = outcome == OUTCOME_DELIVERED ? 250 :
			outcome == OUTCOME_FAILED    ? 550 :
						       451,
		.status = outcome == OUTCOME_DELIVERED ? STR("2.0.0") :
			  outcome == OUTCOME_FAILED    ? STR("5.1.1") :
							 STR("4.3.0"),
		.relay = STR("127.0.0.1:2"),
		.reply = str_of(text),
		.handover = (uint8_t)how.handover,
	};

	channel_tell(t.agent, TYPE_tell_result, &m, g->id);
}

static inline void
tell_done(struct got *g, bool unreachable)
{
	struct tell_done m = { .unreachable = unreachable };

	channel_tell(t.agent, TYPE_tell_done, &m, g->id);
}

/* --- questions --- */

static int ndone;

static inline void
on_control_answer(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	ck_assert_ptr_null(fault);
	ck_assert_uint_eq(type, TYPE_answer_done);
	t.done = *(const struct answer_done *)msg;
	ndone++;
	seen();
}

static inline void
term(enum term_kind kind, const char *text, uint64_t number)
{
	struct tell_term m = {
		.kind = (uint8_t)kind, .text = str_of(text), .number = number
	};

	channel_tell(t.control, TYPE_tell_term, &m, 0);
}

static inline const char *
ask(uint16_t type, const void *msg)
{
	ndone = 0;
	t.rows[0] = '\0';
	channel_ask(t.control, type, msg, on_control_answer, NULL);
	wait_for(&ndone, 1);
	return t.rows;
}

static inline const char *
show(void)
{
	struct ask_queue m = { 0 };

	return ask(TYPE_ask_queue, &m);
}

static inline void
change(enum change kind)
{
	struct ask_change m = {
		.change = (uint8_t)kind, .reason = STR("t"), .uid = 7
	};

	ask(TYPE_ask_change, &m);
}

/* smtpd's word about what it was asked last. */
static inline void
tell_filtered(enum filtered verdict, const char *reply, bool replaced)
{
	struct answer_filtered m = {
		.verdict = (uint8_t)verdict,
		.replaced = replaced,
		.filter = str_of(how.filter != NULL ? how.filter : "scan"),
		.reply = str_of(reply),
	};

	channel_tell(t.smtpd, TYPE_answer_filtered, &m, t.asked_id);
}

static inline const char *
trace(const char *msgid)
{
	struct ask_trace m = { .msgid = str_of(msgid) };

	return ask(TYPE_ask_trace, &m);
}

static inline const char *
quarantine(void)
{
	struct ask_quarantine m = { 0 };

	return ask(TYPE_ask_quarantine, &m);
}

/* Rounds go by until the listing reads like this. */
static inline void
wait_shown(const char *rows)
{
	uint64_t end = clock_mono_ms() + WATCHDOG_MS;

	while (strcmp(show(), rows) != 0)
		ck_assert_msg(clock_mono_ms() < end, "shown: %s", t.rows);
}

#endif
